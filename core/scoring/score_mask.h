#ifndef QKSERVE_CORE_SCORING_SCORE_MASK_H_
#define QKSERVE_CORE_SCORING_SCORE_MASK_H_

#include <cstdint>
#include <limits>

#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// The masked score of a key that the query does not attend.
inline constexpr float kNotAttended = -std::numeric_limits<float>::infinity();

// Keys [begin, end). Empty if end <= begin.
struct KeyRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// Decides which keys a query attends. These keys lie in an interval that is_causal, window,
// key_lengths and a short mask decide. The elements of the mask exclude single keys of this
// interval.
//
// Immutable and thread-safe. Keeps a reference to the problem.
class ScoreMask {
 public:
  ScoreMask(const AttentionProblem& problem, const ScoreShape& shape);

  // Returns the interval of query `query` of slice `slice` (batch * heads + head). 0 <= begin <=
  // end <= m, even if offset and windows are at the ends of int64.
  KeyRange Range(int64_t slice, int64_t query) const;

  // Applies the stages that the output needs to the products of a query with keys [key, key +
  // count), in place: scale for kScores, scale and softcap for kCapped, all three stages for other
  // outputs. The elements of a float mask are added. The score of a key that is not attended
  // becomes -inf, whatever its product is.
  void ApplyStages(int64_t slice, int64_t query, int64_t key, int64_t count, float* scores) const;

 private:
  void AddMask(int64_t slice, int64_t query, int64_t key, int64_t count, float* scores) const;

  const AttentionProblem& problem_;
  int64_t n_, m_, heads_;
  // The strides of the mask, in elements, along the dimensions of the result. A stride is 0 if the
  // mask broadcasts along its dimension.
  int64_t batch_stride_ = 0, head_stride_ = 0, query_stride_ = 0;
  int64_t mask_keys_ = 0;  // size of the mask's last dimension
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_SCORE_MASK_H_
