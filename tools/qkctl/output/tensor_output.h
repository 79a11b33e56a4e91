#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_TENSOR_OUTPUT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_TENSOR_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Writes FILE.safetensors with one tensor named `name`, or an .npy file. The path of an .npy file
// may have any end. The file is written whole, in C order and little-endian. Errors name the file:
//   INVALID_ARGUMENT  .npy does not have bfloat16, .safetensors only float types
//   others            those of WriteOutput
absl::Status WriteTensorFile(const std::string& path, absl::string_view name,
                             const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_TENSOR_OUTPUT_H_
