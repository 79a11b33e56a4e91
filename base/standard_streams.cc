#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

namespace qkserve {
namespace {

// A descriptor with FD_CLOEXEC did not come from the parent. A library opened it before main: gRPC
// 1.51 makes an eventfd there to see whether it can, and leaves it open unused.
bool IsInherited(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

void OpenClosedStandardStreams(ClosedOutput output) {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (IsInherited(stream)) continue;
    const bool is_discarded = stream != STDIN_FILENO && output == ClosedOutput::kDiscard;
    int opened = open("/dev/null", is_discarded ? O_WRONLY : O_RDONLY);
    // Without /dev/null the root directory takes the number; writes to it fail.
    if (opened < 0) opened = open("/", O_RDONLY | O_DIRECTORY);
    // Without O_CLOEXEC: the number must stay taken where the process replaces itself.
    if (opened < 0 || opened == stream) continue;
    dup2(opened, stream);
    close(opened);
  }
}

}  // namespace qkserve
