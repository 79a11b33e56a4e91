#ifndef QKSERVE_CLIENT_QKCTL_NPY_H_
#define QKSERVE_CLIENT_QKCTL_NPY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/tensor.h"

namespace qkserve {

// NumPy's .npy files: little-endian float32 and float16 in C order, of any rank.

// Reads a file that may come from anybody: nothing larger than the file is allocated.
//
// Errors name the file:
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is no regular file; or what is in it: not .npy, another element type or
//                        byte order, Fortran order, more or less data than its shape needs
//   RESOURCE_EXHAUSTED   out of memory
//   UNKNOWN, ...         the operating system's own, while reading
absl::StatusOr<Tensor> ReadNpy(const std::string& path);

// Writes a file whole: readers of `path` find the old file or the new one, never a part. What is
// not a regular file, such as /dev/stdout or a pipe, is written in place, and "-" is standard
// output.
//
// INVALID_ARGUMENT for bfloat16, which NumPy does not have; otherwise the operating system's
// errors.
absl::Status WriteNpy(const std::string& path, const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_NPY_H_
