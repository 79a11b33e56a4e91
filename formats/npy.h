#ifndef QKSERVE_FORMATS_NPY_H_
#define QKSERVE_FORMATS_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "formats/tensor_file.h"

namespace qkserve {

// Reads NumPy's .npy files of any rank, with either order of elements and either order of bytes.

// Opens a file of float32, float16 or bool. Reads everything but the elements, and checks that the
// file has all of them. The file may come from anybody. The memory that is allocated is at most as
// large as the file, plus some MiB if elements must be reordered.
//
// Errors name the file:
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is no regular file, or not .npy, or of another element type, or its
//                        data is not as long as its shape says
//   RESOURCE_EXHAUSTED   out of memory
//   UNKNOWN, ...         the operating system's errors while reading
absl::StatusOr<TensorFile> OpenNpy(const std::string& path);

// Opens the file of a mask, as OpenNpy does. If the elements are integers, the error advises bool,
// because a mask of floats is added to the scores.
absl::StatusOr<TensorFile> OpenNpyMask(const std::string& path);

// Reads a file of int64 or int32 with rank 0 (one number) or rank 1. Errors are those of OpenNpy.
// Another rank is INVALID_ARGUMENT.
absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_NPY_H_
