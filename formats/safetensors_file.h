#ifndef QKSERVE_FORMATS_SAFETENSORS_FILE_H_
#define QKSERVE_FORMATS_SAFETENSORS_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "formats/tensor_file.h"

namespace qkserve {

// Finds the tensor `name` of a .safetensors file that may come from anybody. If `name` is empty,
// takes the one named `usual_name`, or else the file's only tensor.
//
// Errors name the file:
//   NOT_FOUND            there is no such file, or no such tensor in it; says which there are
//   INVALID_ARGUMENT     it is no regular file, or not whole and well-formed, or holds tensors of
//                        other types than float32, float16 and bfloat16
//   others               as of InputFile
absl::StatusOr<TensorFile> OpenSafetensors(const std::string& path, absl::string_view name,
                                           absl::string_view usual_name);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_SAFETENSORS_FILE_H_
