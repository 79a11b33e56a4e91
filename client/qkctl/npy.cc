#include "client/qkctl/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/qkctl/file_descriptor.h"
#include "client/qkctl/file_output.h"
#include "client/qkctl/npy_header.h"

namespace qkserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

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

// The size of the file that `fd` reads.
absl::StatusOr<int64_t> RegularFileBytes(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
  if (S_ISDIR(info.st_mode)) return Bad(path, "is a directory, expected an .npy file");
  if (!S_ISREG(info.st_mode)) return Bad(path, "is not a regular file");
  return info.st_size;
}

// Everything up to the elements, which are to be of one of the `types`. *data_bytes is what the
// file holds behind it.
absl::StatusOr<NpyHeader> ReadHeader(int fd, const std::string& path, int64_t file_bytes,
                                     absl::Span<const NpyType> types, int64_t* data_bytes) {
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
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(text, types);
  if (!header.ok()) return InFile(path, header.status());
  return header;
}

// INVALID_ARGUMENT unless the elements have exactly `data_bytes`.
absl::Status CheckDataBytes(const std::string& path, const NpyHeader& header, int64_t data_bytes) {
  const std::optional<int64_t> count = ElementCount(header.shape);
  int64_t expected_bytes = 0;
  if (!count.has_value() ||
      __builtin_mul_overflow(*count, NpyElementBytes(header.type), &expected_bytes)) {
    return Bad(path, absl::StrCat("the number of elements of shape ", ShapeString(header.shape),
                                  " does not fit in 64 bits"));
  }
  if (data_bytes == expected_bytes) return absl::OkStatus();
  return Bad(path, absl::StrCat(data_bytes < expected_bytes ? "truncated" : "surplus data", ": ",
                                data_bytes, " bytes of elements, expected ", expected_bytes,
                                " for ", NpyTypeName(header.type), " ", ShapeString(header.shape)));
}

struct NpyContent {
  NpyHeader header;
  Buffer data;
};

absl::StatusOr<NpyContent> ReadContent(const std::string& path, absl::Span<const NpyType> types) {
  // O_NONBLOCK: a pipe without a writer is to be refused, not waited for.
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  absl::StatusOr<int64_t> file_bytes = RegularFileBytes(fd.get(), path);
  if (!file_bytes.ok()) return file_bytes.status();
  int64_t data_bytes = 0;
  absl::StatusOr<NpyHeader> header = ReadHeader(fd.get(), path, *file_bytes, types, &data_bytes);
  if (!header.ok()) return header.status();
  absl::Status status = CheckDataBytes(path, *header, data_bytes);
  if (!status.ok()) return status;
  absl::StatusOr<Buffer> data = Buffer::Allocate(data_bytes);
  if (!data.ok()) return InFile(path, data.status());
  status = ReadExactly(fd.get(), path, data->data(), data->size_bytes());
  if (!status.ok()) return status;
  return NpyContent{*std::move(header), *std::move(data)};
}

template <typename T>
std::vector<int64_t> Widened(const Buffer& data) {
  std::vector<T> values(data.size_bytes() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), data.data(), data.size_bytes());
  return {values.begin(), values.end()};
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  absl::StatusOr<NpyContent> content =
      ReadContent(path, {NpyType::kFloat32, NpyType::kFloat16, NpyType::kBool});
  if (!content.ok()) return content.status();
  return Tensor{DataTypeOf(content->header.type).value(), std::move(content->header.shape),
                std::move(content->data)};
}

absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path) {
  absl::StatusOr<NpyContent> content = ReadContent(path, {NpyType::kInt64, NpyType::kInt32});
  if (!content.ok()) return content.status();
  if (content->header.shape.size() > 1) {
    return Bad(path, absl::StrCat("the shape is ", ShapeString(content->header.shape),
                                  ", expected one dimension or none"));
  }
  return content->header.type == NpyType::kInt64 ? Widened<int64_t>(content->data)
                                                 : Widened<int32_t>(content->data);
}

absl::Status WriteNpy(const std::string& path, const TensorView& tensor) {
  const std::optional<NpyType> type = NpyTypeOf(tensor.data_type);
  if (!type.has_value()) {
    return Bad(path, absl::StrCat("elements are ", DataTypeName(tensor.data_type),
                                  ", which NumPy does not have"));
  }
  absl::StatusOr<std::string> header = FormatNpyHeader({*type, tensor.shape});
  if (!header.ok()) return InFile(path, header.status());
  const std::optional<int64_t> count = ElementCount(tensor.shape);
  if (!count.has_value()) {
    return Bad(path, absl::StrCat("shape ", ShapeString(tensor.shape), " is not one of a tensor"));
  }
  const absl::string_view elements(reinterpret_cast<const char*>(tensor.data),
                                   *count * ElementBytes(tensor.data_type));
  return WriteFileWhole(path, {*header, elements});
}

}  // namespace qkserve
