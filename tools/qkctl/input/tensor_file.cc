#include "tools/qkctl/input/tensor_file.h"

#include <bit>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/qkctl/input/npy.h"
#include "tools/qkctl/input/safetensors.h"

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
  const int64_t count = ElementCount(tensor.spec.shape).value();
  absl::StatusOr<Buffer> data = Buffer::Allocate(count * ElementBytes(tensor.spec.data_type));
  if (!data.ok()) return tensor.file->Named(data.status());
  absl::Status status = SourceOf(tensor).read(
      0, absl::MakeSpan(reinterpret_cast<char*>(data->data()), data->size_bytes()));
  if (!status.ok()) return status;
  return Tensor{tensor.spec.data_type, tensor.spec.shape, *std::move(data)};
}

TensorSource SourceOf(const TensorFile& tensor) {
  if (!tensor.order.IsPlain()) {
    return TensorSource(
        tensor.spec.data_type, tensor.spec.shape,
        [reader = ReorderedReader(tensor.file, tensor.spec, tensor.offset, tensor.order)](
            int64_t offset, absl::Span<char> out) mutable { return reader.Read(offset, out); });
  }
  return TensorSource(
      tensor.spec.data_type, tensor.spec.shape,
      [file = tensor.file, begin = tensor.offset](int64_t offset, absl::Span<char> out) {
        return file->ReadAt(begin + offset, out);
      });
}

absl::Status WriteTensorFile(const std::string& path, absl::string_view name,
                             const TensorView& tensor) {
  return absl::EndsWith(path, kSuffix) ? WriteSafetensors(path, name, tensor)
                                       : WriteNpy(path, tensor);
}

}  // namespace qkserve
