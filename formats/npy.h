#ifndef QKSERVE_FORMATS_NPY_H_
#define QKSERVE_FORMATS_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "formats/tensor_file.h"

namespace qkserve {

// Reads NumPy's .npy files of any rank, in either order of elements and of bytes.

// Opens a file of float32, float16 or bool that may come from anybody. Reads everything but the
// elements, and checks that the file has all of them.
//
// Errors name the file:
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is no regular file, or not .npy, or of another element type, or has
//                        more or less data than its shape needs
//   RESOURCE_EXHAUSTED   out of memory
//   UNKNOWN, ...         the operating system's own, while reading
absl::StatusOr<TensorFile> OpenNpy(const std::string& path);

// Reads int64 or int32 of rank 0 (one number) or 1. Errors as of OpenNpy, for another rank too.
absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_NPY_H_
