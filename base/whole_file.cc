#include "base/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/file_descriptor.h"

namespace qkserve {
namespace {

absl::Status WriteAndClose(FileDescriptor* fd, const std::string& path, FileParts parts) {
  absl::Status status = WriteTo(fd->get(), path, parts);
  if (status.ok() && fd->Close() != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  }
  return status;
}

}  // namespace

absl::StatusOr<std::string> ReadFileWhole(const std::string& path, size_t bytes_max) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  std::string text;
  char bytes[16384];
  while (true) {
    const ssize_t count = read(fd.get(), bytes, sizeof(bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
    if (count == 0) return text;
    if (static_cast<size_t>(count) > bytes_max - text.size()) {
      return absl::OutOfRangeError(absl::StrCat(path, ": has more than ", bytes_max, " bytes"));
    }
    text.append(bytes, static_cast<size_t>(count));
  }
}

absl::Status WriteTo(int fd, const std::string& name, FileParts parts) {
  for (absl::string_view bytes : parts) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(name, ": cannot write"));
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteInPlace(const std::string& path, FileParts parts) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  return WriteAndClose(&fd, path, parts);
}

absl::Status WriteFileWhole(const std::string& path, FileParts parts, IfIrreplaceable otherwise) {
  const bool in_place = otherwise == IfIrreplaceable::kWriteInPlace;
  const std::string target = ResolvedPath(path);
  const std::string temporary = absl::StrCat(target, ".tmp.", getpid());
  FileDescriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) {
    const int error = errno;
    if (in_place && access(target.c_str(), W_OK) == 0) return WriteInPlace(path, parts);
    return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot create"));
  }
  absl::Status status = WriteAndClose(&fd, path, parts);
  if (status.ok() && rename(temporary.c_str(), target.c_str()) != 0) {
    // EBUSY means that the file is a mount point.
    status = in_place && errno == EBUSY
                 ? WriteInPlace(path, parts)
                 : absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot replace"));
  }
  unlink(temporary.c_str());  // unless it was renamed
  return status;
}

std::string ResolvedPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  return resolved == nullptr ? path : std::string(resolved.get());
}

}  // namespace qkserve
