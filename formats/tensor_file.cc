#include "formats/tensor_file.h"

#include <bit>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "formats/npy.h"
#include "formats/safetensors_file.h"

namespace qkserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

constexpr absl::string_view kSuffix = ".safetensors";
constexpr absl::string_view kSuffixAndColon = ".safetensors:";

struct SplitPath {
  std::string file;
  std::string tensor;  // empty: not given
};

SplitPath Split(absl::string_view path) {
  const size_t at = path.find(kSuffixAndColon);
  if (at == absl::string_view::npos) return {std::string(path), ""};
  return {std::string(path.substr(0, at + kSuffix.size())),
          std::string(path.substr(at + kSuffixAndColon.size()))};
}

}  // namespace

bool IsSafetensorsPath(absl::string_view path) {
  return absl::EndsWith(path, kSuffix) || absl::StrContains(path, kSuffixAndColon);
}

absl::StatusOr<TensorFile> OpenTensorFile(const std::string& path, absl::string_view name) {
  if (!IsSafetensorsPath(path)) return OpenNpy(path);
  const SplitPath split = Split(path);
  if (absl::EndsWith(path, kSuffixAndColon)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected the name of a tensor behind the colon"));
  }
  return OpenSafetensors(split.file, split.tensor, name);
}

absl::StatusOr<Tensor> ReadTensor(const TensorFile& tensor) {
  const int64_t count = ElementCount(tensor.shape).value();
  absl::StatusOr<Buffer> data = Buffer::Allocate(count * ElementBytes(tensor.data_type));
  if (!data.ok()) return tensor.file->Named(data.status());
  absl::Status status = ReaderOf(tensor)(
      0, absl::MakeSpan(reinterpret_cast<char*>(data->data()), data->size_bytes()));
  if (!status.ok()) return status;
  return Tensor{tensor.data_type, tensor.shape, *std::move(data)};
}

ElementReader ReaderOf(const TensorFile& tensor) {
  if (!tensor.order.IsPlain()) {
    return [reader = ReorderedReader(tensor.file, tensor.data_type, tensor.shape, tensor.offset,
                                     tensor.order)](int64_t offset, absl::Span<char> out) mutable {
      return reader.Read(offset, out);
    };
  }
  return [file = tensor.file, begin = tensor.offset](int64_t offset, absl::Span<char> out) {
    return file->ReadAt(begin + offset, out);
  };
}

}  // namespace qkserve
