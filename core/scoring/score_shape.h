#ifndef QKSERVE_CORE_SCORING_SCORE_SHAPE_H_
#define QKSERVE_CORE_SCORING_SCORE_SHAPE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The sizes of a request, and which query matrix is multiplied with which key matrix.
//
// The result has one slice [n, m] for each combination of leading dimensions. Consecutive slices
// that read consecutive queries and share their keys (broadcast keys, grouped heads) are computed
// as one taller matrix multiplication: a product. score_pass.h defines the other words.
struct ScoreShape {
  int64_t n = 0;  // queries of a slice
  int64_t m = 0;  // keys
  int64_t d = 0;  // elements of a query or key
  Shape result;   // [.., n, m]

  int64_t products = 0;
  int64_t slices_per_product = 1;

  // Returns the query rows of a product.
  int64_t ProductRows() const { return slices_per_product * n; }

  // Returns the query rows over all leading dimensions.
  int64_t Rows() const { return batch * heads * n; }

  // Returns the number of [m, d] matrices of the keys. Rows() / KeyMatrices() query rows read each
  // of them.
  int64_t KeyMatrices() const { return key_batch * key_heads; }

  // Return the index of the query matrix [n, d], and of the key matrix [m, d], that a slice reads.
  // Matrices are counted from the beginning of their tensor.
  int64_t QueryMatrix(int64_t slice) const;
  int64_t KeyMatrix(int64_t slice) const;

  // Leading dimensions, padded with 1 to [batch, heads].
  int64_t query_batch = 1, query_heads = 1;
  int64_t key_batch = 1, key_heads = 1;
  int64_t batch = 1, heads = 1;
};

// Makes the shape of a request. Queries and keys must have the same rank, 2 to 4, and the same d.
// Leading dimensions must be equal or 1; a dimension of 1 broadcasts. In rank 4, the query heads
// may also be a multiple of the key heads: query head h then reads key head h / (query heads / key
// heads).
//
// Sizes must be 0 or more. INVALID_ARGUMENT: the shapes break a rule. The error names
// `queries_name` or `keys_name`, the shape that was given and what was expected.
// RESOURCE_EXHAUSTED: the number of results does not fit in 64 bits.
absl::StatusOr<ScoreShape> MakeScoreShape(absl::string_view queries_name,
                                          absl::Span<const int64_t> queries,
                                          absl::string_view keys_name,
                                          absl::Span<const int64_t> keys);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_SCORE_SHAPE_H_
