#ifndef QKSERVE_SERVER_RPC_TENSOR_CODEC_H_
#define QKSERVE_SERVER_RPC_TENSOR_CODEC_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/tensor.h"
#include "qkserve/v1/tensor.pb.h"

namespace qkserve {

// Between v1::Tensor and memory. `name` is the field in error messages. INVALID_ARGUMENT says what
// came and what was expected.

// One of the three float types; `others`, which end in ", ", are named in the error too.
absl::StatusOr<DataType> DecodeFloatType(int value, absl::string_view name,
                                         absl::string_view others = "");

// The tensor, in place. A float type (or BOOL where `bool_too`), a rank from rank_min to 4, sizes
// of 0 or more, and data of exactly their length.
struct TensorRule {
  int rank_min = 2;
  bool bool_too = false;
};
absl::StatusOr<TensorView> DecodeTensor(const v1::Tensor& tensor, absl::string_view name,
                                        const TensorRule& rule = {});

// Copies `bytes` bytes.
void EncodeTensor(DataType type, absl::Span<const int64_t> shape, const std::byte* data,
                  int64_t bytes, v1::Tensor& tensor);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_TENSOR_CODEC_H_
