#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <initializer_list>

namespace qkserve {
namespace {

constexpr char kCannotWrite[] = "standard output: cannot write";

// True if the descriptor came from the parent. A descriptor with FD_CLOEXEC was opened by a library
// before main. For example, gRPC 1.51 tests whether it can make an eventfd, and leaves the eventfd
// open.
bool IsInherited(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

void OpenClosedStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (IsInherited(stream)) continue;
    int opened = open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    // If there is no /dev/null, the root directory gets the number. Writes to a directory fail.
    if (opened < 0) opened = open("/", O_RDONLY | O_DIRECTORY);
    // O_CLOEXEC is not set, so that the number stays taken when the process executes itself again.
    if (opened < 0 || opened == stream) continue;
    dup2(opened, stream);
    close(opened);
  }
}

absl::Status FlushStandardOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, kCannotWrite);
}

bool IsClosedPipe(const absl::Status& status) {
  return status == absl::ErrnoToStatus(EPIPE, kCannotWrite);
}

bool PrintOut(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  const absl::Status status = FlushStandardOutput();
  if (status.ok()) return true;
  std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return false;
}

}  // namespace qkserve
