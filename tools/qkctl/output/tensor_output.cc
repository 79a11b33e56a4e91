#include "tools/qkctl/output/tensor_output.h"

#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "formats/npy_header.h"
#include "formats/safetensors.h"
#include "tools/qkctl/output/file_output.h"

namespace qkserve {
namespace {

// Returns the header of an .npy file, which stands before the elements.
absl::StatusOr<std::string> NpyHeaderOf(const std::string& path, const TensorView& tensor) {
  const std::optional<NpyType> type = NpyTypeOf(tensor.data_type);
  if (!type.has_value()) {
    return FormatError(path, "elements are ", DataTypeName(tensor.data_type),
                       ", which NumPy does not have; .safetensors files do");
  }
  absl::StatusOr<std::string> header = FormatNpyHeader({*type, tensor.shape});
  if (!header.ok()) return FormatError(path, header.status().message());
  return header;
}

absl::StatusOr<std::string> SafetensorsHeaderOf(const std::string& path, absl::string_view name,
                                                const TensorView& tensor) {
  if (!IsFloatType(static_cast<int>(tensor.data_type))) {
    return FormatError(path, "elements are ", DataTypeName(tensor.data_type),
                       "; write them to an .npy file");
  }
  std::vector<SafetensorsEntry> entries(1);
  entries[0].name = std::string(name);
  entries[0].type = tensor.data_type;
  entries[0].shape = tensor.shape;
  return MakeSafetensorsHeader(entries);
}

}  // namespace

absl::Status WriteTensorFile(const std::string& path, absl::string_view name,
                             const TensorView& tensor) {
  const std::optional<int64_t> count = ElementCount(tensor.shape);
  if (!count.has_value()) {
    return FormatError(path, "shape ", ShapeString(tensor.shape), " is not one of a tensor");
  }
  ASSIGN_OR_RETURN(const std::string header, absl::EndsWith(path, ".safetensors")
                                                 ? SafetensorsHeaderOf(path, name, tensor)
                                                 : NpyHeaderOf(path, tensor));
  const absl::string_view elements(reinterpret_cast<const char*>(tensor.data),
                                   *count * ElementBytes(tensor.data_type));
  return WriteOutput(path, {header, elements});
}

}  // namespace qkserve
