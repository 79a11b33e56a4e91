#ifndef QKSERVE_CORE_KERNELS_BLOCK_PRODUCT_H_
#define QKSERVE_CORE_KERNELS_BLOCK_PRODUCT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Functions that multiply blocks of two tensors, on the caller's thread. The tensors may have any
// element type. The arithmetic is float32.

// Returns the size of a part if `total` is cut evenly into the fewest parts of at most `part_max`.
// The size is rounded up to a multiple of 16, which suits the matrix kernels, but not above
// `part_max` or `total`.
int64_t EvenPart(int64_t total, int64_t part_max);

// Returns a / b rounded up, for a >= 0 and b > 0.
inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The most elements of each row that are converted to float32 at a time.
inline constexpr int64_t kDepthChunk = 512;

// `rows` rows of the queries from element `query_index` on, and `key_count` rows of the keys from
// element `key_index` on. Each row has `depth` elements.
struct ScoreBlock {
  const TensorView& queries;
  int64_t query_index;
  int64_t rows;
  const TensorView& keys;
  int64_t key_index;
  int64_t key_count;
  int64_t depth;
};

// Computes out[i * out_stride + j] = q_i · k_j. Converts at most kDepthChunk elements of each row
// at a time. RESOURCE_EXHAUSTED: there is no memory for the converted elements.
absl::Status MultiplyBlock(const ScoreBlock& block, float* out, int64_t out_stride);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLOCK_PRODUCT_H_
