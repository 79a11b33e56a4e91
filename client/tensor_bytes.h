#ifndef QKSERVE_CLIENT_TENSOR_BYTES_H_
#define QKSERVE_CLIENT_TENSOR_BYTES_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

// This header is not for users of the library.

namespace qkserve {

// Returns how many bytes the tensor `name` takes. `size_bytes` is how many there are; if it is
// nullopt, the shape is trusted. INVALID_ARGUMENT: the shape is not a tensor's, or takes another
// number of bytes.
absl::StatusOr<int64_t> TensorBytes(absl::string_view name, DataType data_type, const Shape& shape,
                                    std::optional<int64_t> size_bytes);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_TENSOR_BYTES_H_
