#ifndef QKSERVE_CORE_SCORING_INLINE_KEYS_H_
#define QKSERVE_CORE_SCORING_INLINE_KEYS_H_

#include <cstdint>
#include <memory>

#include "core/scoring/direct_scores.h"
#include "core/scoring/key_source.h"

namespace qkserve {

// Keys and values that came with one request, multiplied by OpenBLAS.
//
// OpenBLAS's rounding depends on the sizes of a call. So the request's shape and options alone
// decide the cuts that set these sizes: the rows of a block, the steps and the splits. Blocks end
// where slices end. If slices are short and share their keys, a block has several whole slices.
class InlineKeys final : public KeySource {
 public:
  // Makes the source for one request. `problem` must outlive the source. `shape` is the shape of
  // the request's queries and keys.
  InlineKeys(const AttentionProblem& problem, const ScoreShape& shape);

  RowCut Cut(absl::Span<const ScoreRequest* const> requests) const override;
  bool IsShared() const override { return false; }
  absl::Status Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys, float* products,
                        int64_t stride) const override;
  void AddWeightedValues(const float* weights, int64_t stride, int64_t rows, int64_t matrix,
                         KeyRange keys, const ContextSums& sums) const override;
  std::unique_ptr<Pass> MakeDirectPass(const ScoreRequest& request) const override;
  ScoreWork WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const override;

 private:
  void CutRows(int64_t columns, const ScoreShape& shape);
  void CutKeys();

  // Returns the cost, in multiply-adds, of multiplying one key with the rows of a block and
  // weighing the key's value.
  double KeyMultiplyAdds() const;

  const AttentionProblem& problem_;
  DirectScores::Cut direct_cut_;  // set if the request has a direct pass
  // The cut of the rows if the request has no direct pass. The bits of the results depend on this
  // cut.
  int64_t chunk_rows_ = 1;  // the rows of a slice or product; no block crosses its end
  int64_t blocks_ = 0;      // blocks of a matrix
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_INLINE_KEYS_H_
