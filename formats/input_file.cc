#include "formats/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"

namespace qkserve {

absl::StatusOr<std::shared_ptr<const InputFile>> InputFile::Open(const std::string& path,
                                                                 absl::string_view expected) {
  // O_NONBLOCK is set, because a pipe without a writer must be refused at once.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  const std::shared_ptr<InputFile> file(new InputFile(path, fd));
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
  if (S_ISDIR(info.st_mode)) return FormatError(path, "is a directory, expected ", expected);
  if (!S_ISREG(info.st_mode)) return FormatError(path, "is not a regular file");
  file->size_bytes_ = info.st_size;
  return file;
}

absl::Status InputFile::ReadAt(int64_t offset, absl::Span<char> out) const {
  while (!out.empty()) {
    const ssize_t count =
        pread(fd_.get(), out.data(), std::min(out.size(), size_t{1} << 30), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": cannot read"));
    if (count == 0) return FormatError(path_, "the file became shorter while it was read");
    out.remove_prefix(count);
    offset += count;
  }
  return absl::OkStatus();
}

absl::Status InputFile::Named(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

}  // namespace qkserve
