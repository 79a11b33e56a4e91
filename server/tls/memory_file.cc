#include "server/tls/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/whole_file.h"

namespace qkserve {
namespace {

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::ErrnoToStatus(errno, what).message());
}

}  // namespace

absl::StatusOr<MemoryFile> MemoryFile::Create(absl::string_view contents) {
  FileDescriptor fd(memfd_create("qkserve", MFD_CLOEXEC));
  if (fd.get() < 0) return SystemError("cannot make a file in memory");
  const absl::Status written = WriteTo(fd.get(), "a file in memory", {contents});
  if (!written.ok()) return absl::UnavailableError(written.message());
  return MemoryFile(std::move(fd));
}

absl::Status MemoryFile::Replace(MemoryFile other) {
  if (dup3(other.fd_.get(), fd_.get(), O_CLOEXEC) < 0) {
    return SystemError("cannot replace a file in memory");
  }
  return absl::OkStatus();
}

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

}  // namespace qkserve
