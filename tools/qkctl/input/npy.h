#ifndef QKSERVE_TOOLS_QKCTL_INPUT_NPY_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/input/tensor_file.h"

namespace qkserve {

// NumPy's .npy files, of any rank. Read in either order of elements and bytes, written in C order
// and little-endian.

// Reads float32, float16 and bool from a file that may come from anybody: nothing larger than the
// file is allocated, but for some MiB where elements must be reordered.
//
// Errors name the file:
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is no regular file; or what is in it: not .npy, another element type,
//   more
//                        or less data than its shape needs
//   RESOURCE_EXHAUSTED   out of memory
//   UNKNOWN, ...         the operating system's own, while reading
absl::StatusOr<Tensor> ReadNpy(const std::string& path);

// The same without the elements.
absl::StatusOr<TensorFile> OpenNpy(const std::string& path);

// Reads int64 or int32 of rank 0 (one number) or 1. Errors as of ReadNpy, for another rank too.
absl::StatusOr<std::vector<int64_t>> ReadNpyInt64(const std::string& path);

// Writes a file whole, as WriteFileWhole does.
//
// INVALID_ARGUMENT for bfloat16, which NumPy does not have; otherwise the operating system's
// errors.
absl::Status WriteNpy(const std::string& path, const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_NPY_H_
