#ifndef QKSERVE_TOOLS_QKCTL_INPUT_SAFETENSORS_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_SAFETENSORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/input/tensor_file.h"

namespace qkserve {

// Files of the safetensors format: a JSON header and raw elements, little-endian and in C order.
// See https://github.com/huggingface/safetensors.

// Finds the tensor `name` of a file that may come from anybody. Where `name` is empty it is the
// one named `usual_name`, or else the file's only tensor.
//
// Errors name the file:
//   NOT_FOUND            there is no such file, or no such tensor in it; says which there are
//   INVALID_ARGUMENT     it is no regular file, or not whole and well-formed, or holds tensors of
//                        other types than float32, float16 and bfloat16
//   others               as of InputFile
absl::StatusOr<TensorFile> OpenSafetensors(const std::string& path, absl::string_view name,
                                           absl::string_view usual_name);

// Writes a file of one tensor, whole, as WriteFileWhole does.
//
// INVALID_ARGUMENT: its elements are not of a float type; otherwise the operating system's errors.
absl::Status WriteSafetensors(const std::string& path, absl::string_view name,
                              const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_SAFETENSORS_H_
