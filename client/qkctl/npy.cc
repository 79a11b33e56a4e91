#include "client/qkctl/npy.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/qkctl/npy_header.h"

namespace qkserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  // 0, or -1 with errno: where the disk is full, closing is what may say so.
  int Close() { return fd_ < 0 ? 0 : close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status Bad(const std::string& path, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
}

// Reads exactly `size` bytes. They were there when the file was opened; it may have shrunk since.
absl::Status ReadExactly(int fd, const std::string& path, std::byte* data, size_t size) {
  while (size > 0) {
    const ssize_t count = read(fd, data, std::min(size, size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
    if (count == 0) return Bad(path, "the file became shorter while it was read");
    data += count;
    size -= count;
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, const std::string& path, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
    bytes.remove_prefix(count);
  }
  return absl::OkStatus();
}

// The size of the file that `fd` reads.
absl::StatusOr<int64_t> RegularFileBytes(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
  if (S_ISDIR(info.st_mode)) return Bad(path, "is a directory, expected an .npy file");
  if (!S_ISREG(info.st_mode)) return Bad(path, "is not a regular file");
  return info.st_size;
}

// Everything up to the elements. *data_bytes is what the file holds behind it.
absl::StatusOr<NpyHeader> ReadHeader(int fd, const std::string& path, int64_t file_bytes,
                                     int64_t* data_bytes) {
  std::string start(std::min<int64_t>(file_bytes, kNpyPreambleBytesMax), '\0');
  absl::Status status =
      ReadExactly(fd, path, reinterpret_cast<std::byte*>(start.data()), start.size());
  if (!status.ok()) return status;
  absl::StatusOr<NpyPreamble> preamble = ParseNpyPreamble(start);
  if (!preamble.ok()) return InFile(path, preamble.status());
  *data_bytes = file_bytes - preamble->preamble_bytes - preamble->header_bytes;
  if (*data_bytes < 0) {
    return Bad(path, absl::StrCat("truncated: a header of ", preamble->header_bytes,
                                  " bytes does not fit in a file of ", file_bytes));
  }
  std::string text(preamble->header_bytes, '\0');
  if (lseek(fd, preamble->preamble_bytes, SEEK_SET) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
  }
  status = ReadExactly(fd, path, reinterpret_cast<std::byte*>(text.data()), text.size());
  if (!status.ok()) return status;
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(text);
  if (!header.ok()) return InFile(path, header.status());
  return header;
}

// INVALID_ARGUMENT unless the elements have exactly `data_bytes`.
absl::Status CheckDataBytes(const std::string& path, const NpyHeader& header, int64_t data_bytes) {
  const std::optional<int64_t> count = ElementCount(header.shape);
  int64_t expected_bytes = 0;
  if (!count.has_value() ||
      __builtin_mul_overflow(*count, ElementBytes(header.data_type), &expected_bytes)) {
    return Bad(path, absl::StrCat("the number of elements of shape ", ShapeString(header.shape),
                                  " does not fit in 64 bits"));
  }
  if (data_bytes == expected_bytes) return absl::OkStatus();
  return Bad(path,
             absl::StrCat(data_bytes < expected_bytes ? "truncated" : "surplus data", ": ",
                          data_bytes, " bytes of elements, expected ", expected_bytes, " for ",
                          DataTypeName(header.data_type), " ", ShapeString(header.shape)));
}

absl::Status WriteTo(int fd, const std::string& path, absl::string_view header,
                     absl::string_view elements) {
  absl::Status status = WriteAll(fd, path, header);
  return status.ok() ? WriteAll(fd, path, elements) : status;
}

// The file behind symbolic links, which are to stay; `path` itself where there is none yet.
std::string ResolvedPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  return resolved == nullptr ? path : std::string(resolved.get());
}

bool IsSpecialFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

absl::Status ReplaceFile(const std::string& path, absl::string_view header,
                         absl::string_view elements) {
  const std::string target = ResolvedPath(path);
  const std::string temporary = absl::StrCat(target, ".tmp.", getpid());
  FileDescriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot create"));
  absl::Status status = WriteTo(fd.get(), path, header, elements);
  if (status.ok() && fd.Close() != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  }
  if (status.ok() && rename(temporary.c_str(), target.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot replace"));
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  // O_NONBLOCK: a pipe without a writer is to be refused, not waited for.
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  absl::StatusOr<int64_t> file_bytes = RegularFileBytes(fd.get(), path);
  if (!file_bytes.ok()) return file_bytes.status();
  int64_t data_bytes = 0;
  absl::StatusOr<NpyHeader> header = ReadHeader(fd.get(), path, *file_bytes, &data_bytes);
  if (!header.ok()) return header.status();
  absl::Status status = CheckDataBytes(path, *header, data_bytes);
  if (!status.ok()) return status;
  absl::StatusOr<Buffer> data = Buffer::Allocate(data_bytes);
  if (!data.ok()) return InFile(path, data.status());
  status = ReadExactly(fd.get(), path, data->data(), data->size_bytes());
  if (!status.ok()) return status;
  return Tensor{header->data_type, std::move(header->shape), *std::move(data)};
}

absl::Status WriteNpy(const std::string& path, const TensorView& tensor) {
  absl::StatusOr<std::string> header = FormatNpyHeader({tensor.data_type, tensor.shape});
  if (!header.ok()) return InFile(path, header.status());
  const std::optional<int64_t> count = ElementCount(tensor.shape);
  if (!count.has_value()) {
    return Bad(path, absl::StrCat("shape ", ShapeString(tensor.shape), " is not one of a tensor"));
  }
  const absl::string_view elements(reinterpret_cast<const char*>(tensor.data),
                                   *count * ElementBytes(tensor.data_type));
  if (path == "-") {
    // The descriptor is written to directly: what was printed before must not come behind.
    std::fflush(stdout);
    return WriteTo(STDOUT_FILENO, "standard output", *header, elements);
  }
  if (!IsSpecialFile(path)) return ReplaceFile(path, *header, elements);
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  absl::Status status = WriteTo(fd.get(), path, *header, elements);
  if (status.ok() && fd.Close() != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  }
  return status;
}

}  // namespace qkserve
