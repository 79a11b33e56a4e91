#include "tools/qkctl/output/tensor_output.h"

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "formats/npy_header.h"
#include "formats/safetensors.h"
#include "tools/qkctl/output/file_output.h"

namespace qkserve {
namespace {

absl::Status WrongTensor(const std::string& path, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
}

absl::Status WriteNpy(const std::string& path, const TensorView& tensor) {
  const std::optional<NpyType> type = NpyTypeOf(tensor.data_type);
  if (!type.has_value()) {
    return WrongTensor(path, absl::StrCat("elements are ", DataTypeName(tensor.data_type),
                                          ", which NumPy does not have; .safetensors files do"));
  }
  absl::StatusOr<std::string> header = FormatNpyHeader({*type, tensor.shape});
  if (!header.ok()) return WrongTensor(path, header.status().message());
  const std::optional<int64_t> count = ElementCount(tensor.shape);
  if (!count.has_value()) {
    return WrongTensor(
        path, absl::StrCat("shape ", ShapeString(tensor.shape), " is not one of a tensor"));
  }
  const absl::string_view elements(reinterpret_cast<const char*>(tensor.data),
                                   *count * ElementBytes(tensor.data_type));
  return WriteFileWhole(path, {*header, elements});
}

absl::Status WriteSafetensors(const std::string& path, absl::string_view name,
                              const TensorView& tensor) {
  if (!IsFloatType(static_cast<int>(tensor.data_type))) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": elements are ", DataTypeName(tensor.data_type), "; write them to an .npy file"));
  }
  std::vector<SafetensorsEntry> entries(1);
  entries[0].name = std::string(name);
  entries[0].type = tensor.data_type;
  entries[0].shape = tensor.shape;
  if (!ElementCount(tensor.shape).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": shape ", ShapeString(tensor.shape), " is not one of a tensor"));
  }
  const std::string header = MakeSafetensorsHeader(entries);
  return WriteFileWhole(path, {header, absl::string_view(reinterpret_cast<const char*>(tensor.data),
                                                         entries[0].bytes)});
}

}  // namespace

absl::Status WriteTensorFile(const std::string& path, absl::string_view name,
                             const TensorView& tensor) {
  return absl::EndsWith(path, ".safetensors") ? WriteSafetensors(path, name, tensor)
                                              : WriteNpy(path, tensor);
}

}  // namespace qkserve
