#ifndef QKSERVE_FORMATS_NPY_H_
#define QKSERVE_FORMATS_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "formats/tensor_file.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Reads NumPy's .npy files of any rank, in either order of elements and of bytes.

// Reads float32, float16 and bool from a file that may come from anybody: nothing larger than the
// file is allocated, but for some MiB where elements must be reordered.
//
// Errors name the file:
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is no regular file, or not .npy, or of another element type, or has
//                        more or less data than its shape needs
//   RESOURCE_EXHAUSTED   out of memory
//   UNKNOWN, ...         the operating system's own, while reading
absl::StatusOr<Tensor> ReadNpy(const std::string& path);

// Reads everything but the elements, and checks that the file has all of them. The same errors.
absl::StatusOr<TensorFile> OpenNpy(const std::string& path);

// Reads int64 or int32 of rank 0 (one number) or 1. Errors as of ReadNpy, for another rank too.
absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_NPY_H_
