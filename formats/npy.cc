#include "formats/npy.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/types/span.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "formats/input_file.h"
#include "formats/npy_header.h"

namespace qkserve {
namespace {

struct NpyFile {
  std::shared_ptr<const InputFile> file;
  NpyHeader header;
  int64_t offset = 0;      // where the elements begin
  int64_t data_bytes = 0;  // bytes of the elements
};

// Sets `data_bytes`. Returns INVALID_ARGUMENT unless the file ends with the last element.
absl::Status CheckDataBytes(NpyFile* npy) {
  const NpyHeader& header = npy->header;
  const std::optional<int64_t> count = ElementCount(header.shape);
  if (!count.has_value() ||
      __builtin_mul_overflow(*count, NpyElementBytes(header.type), &npy->data_bytes)) {
    return FormatError(npy->file->path(), "the number of elements of shape ",
                       ShapeString(header.shape), " does not fit in 64 bits");
  }
  const int64_t bytes = npy->file->size_bytes() - npy->offset;
  if (bytes == npy->data_bytes) return absl::OkStatus();
  return FormatError(npy->file->path(), bytes < npy->data_bytes ? "truncated" : "surplus data",
                     ": ", bytes, " bytes of elements, expected ", npy->data_bytes, " for ",
                     NpyTypeName(header.type), " ", ShapeString(header.shape));
}

// Reads everything up to the elements. Their type must be one of `types`.
absl::StatusOr<NpyFile> OpenOf(const std::string& path, absl::Span<const NpyType> types) {
  NpyFile npy;
  ASSIGN_OR_RETURN(npy.file, InputFile::Open(path, "an .npy file"));
  const InputFile& file = *npy.file;
  std::string start(std::min<int64_t>(file.size_bytes(), kNpyPreambleBytesMax), '\0');
  RETURN_IF_ERROR(file.ReadAt(0, absl::MakeSpan(start)));
  absl::StatusOr<NpyPreamble> preamble = ParseNpyPreamble(start);
  if (!preamble.ok()) return file.Named(preamble.status());
  npy.offset = preamble->preamble_bytes + preamble->header_bytes;
  if (npy.offset > file.size_bytes()) {
    return FormatError(path, "truncated: a header of ", preamble->header_bytes,
                       " bytes does not fit in a file of ", file.size_bytes());
  }
  std::string text(preamble->header_bytes, '\0');
  RETURN_IF_ERROR(file.ReadAt(preamble->preamble_bytes, absl::MakeSpan(text)));
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(text, types);
  if (!header.ok()) return file.Named(header.status());
  npy.header = *std::move(header);
  RETURN_IF_ERROR(CheckDataBytes(&npy));
  return npy;
}

absl::StatusOr<TensorFile> OpenTensorOf(const std::string& path, absl::Span<const NpyType> types) {
  ASSIGN_OR_RETURN(NpyFile npy, OpenOf(path, types));
  return TensorFile{std::move(npy.file), DataTypeOf(npy.header.type).value(),
                    std::move(npy.header.shape), npy.offset, npy.header.order};
}

template <typename T>
absl::StatusOr<std::vector<int64_t>> ReadWidened(const NpyFile& npy) {
  absl::StatusOr<Buffer> data = Buffer::Allocate(npy.data_bytes);
  if (!data.ok()) return npy.file->Named(data.status());
  RETURN_IF_ERROR(npy.file->ReadAt(
      npy.offset, absl::MakeSpan(reinterpret_cast<char*>(data->data()), data->size_bytes())));
  std::vector<int64_t> values;
  for (std::byte* at = data->data(); at < data->data() + npy.data_bytes; at += sizeof(T)) {
    if (npy.header.order.is_big_endian) std::reverse(at, at + sizeof(T));
    T value;
    std::memcpy(&value, at, sizeof(T));
    values.push_back(value);
  }
  return values;
}

}  // namespace

absl::StatusOr<TensorFile> OpenNpy(const std::string& path) {
  return OpenTensorOf(path, {NpyType::kFloat32, NpyType::kFloat16, NpyType::kBool});
}

absl::StatusOr<TensorFile> OpenNpyMask(const std::string& path) {
  return OpenTensorOf(path, {NpyType::kBool, NpyType::kFloat32, NpyType::kFloat16});
}

absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path) {
  ASSIGN_OR_RETURN(NpyFile npy, OpenOf(path, {NpyType::kInt64, NpyType::kInt32}));
  if (npy.header.shape.size() > 1) {
    return FormatError(path, "the shape is ", ShapeString(npy.header.shape),
                       ", expected one dimension or none");
  }
  return npy.header.type == NpyType::kInt64 ? ReadWidened<int64_t>(npy) : ReadWidened<int32_t>(npy);
}

}  // namespace qkserve
