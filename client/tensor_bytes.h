#ifndef QKSERVE_CLIENT_TENSOR_BYTES_H_
#define QKSERVE_CLIENT_TENSOR_BYTES_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

// Not for users of the library.

namespace qkserve {

// The bytes of the tensor `name`, of which `size_bytes` are there (nullopt: all). INVALID_ARGUMENT:
// the shape is not one of a tensor, or takes another number of bytes.
absl::StatusOr<int64_t> TensorBytes(absl::string_view name, DataType data_type, const Shape& shape,
                                    std::optional<int64_t> size_bytes);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TENSOR_BYTES_H_
