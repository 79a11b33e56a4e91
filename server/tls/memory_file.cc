#include "server/tls/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/whole_file.h"

namespace qkserve {
namespace {

absl::StatusOr<FileDescriptor> MakeFile(absl::string_view contents) {
  FileDescriptor fd(memfd_create("qkserve", MFD_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, "cannot make a file in memory");
  RETURN_IF_ERROR(WriteTo(fd.get(), "a file in memory", {contents}));
  return fd;
}

}  // namespace

absl::StatusOr<MemoryFile> MemoryFile::Create() {
  ASSIGN_OR_RETURN(FileDescriptor fd, MakeFile(""));
  return MemoryFile(std::move(fd));
}

absl::Status MemoryFile::Replace(absl::string_view contents) {
  ASSIGN_OR_RETURN(const FileDescriptor fd, MakeFile(contents));
  if (dup3(fd.get(), fd_.get(), O_CLOEXEC) < 0) {
    return absl::ErrnoToStatus(errno, "cannot replace a file in memory");
  }
  return absl::OkStatus();
}

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

}  // namespace qkserve
