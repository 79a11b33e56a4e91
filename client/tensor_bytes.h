#ifndef QKSERVE_CLIENT_TENSOR_BYTES_H_
#define QKSERVE_CLIENT_TENSOR_BYTES_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

// This header is not for users of the library.

namespace qkserve {

// Returns how many bytes a tensor of this type and shape takes. `size_bytes` is the number of bytes
// in memory. If `size_bytes` is nullopt, the shape is trusted. Errors call the tensor `name`.
// INVALID_ARGUMENT: a size is negative, the bytes do not fit in 64 bits, or `size_bytes` is another
// number.
absl::StatusOr<int64_t> TensorBytes(absl::string_view name, DataType data_type, const Shape& shape,
                                    std::optional<int64_t> size_bytes);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TENSOR_BYTES_H_
