#ifndef QKSERVE_CORE_SCORING_MATRIX_PLAN_H_
#define QKSERVE_CORE_SCORING_MATRIX_PLAN_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/scoring/attention_plan.h"
#include "core/scoring/score_mask.h"

namespace qkserve {

// Scores, capped and masked scores: a tile is a block of rows x keys of the result. It costs at
// most kTileMultiplyAdds (but at least one dot product). Blocks that no query of theirs attends are
// not multiplied.
class MatrixPlan final : public AttentionPlan {
 public:
  explicit MatrixPlan(const ScoreShape& shape);

  const ScoreShape& shape() const override { return shape_; }
  int64_t tile_count() const override { return tile_count_; }

  // The longer of the arithmetic and of reading the keys, plus a little.
  absl::Duration PredictCost(double gflops) const override;

  absl::Status ComputeTile(int64_t tile, const AttentionProblem& problem,
                           const AttentionResults& results, PartialRows* partials) const override;

 private:
  // Rows [row, row + rows) against keys [key, key + keys) of one unit.
  struct Block {
    int64_t unit, row, rows, key, keys;
  };
  absl::Status ComputeBlock(const Block& block, const AttentionProblem& problem,
                            std::byte* result) const;
  absl::Status ComputeScores(const Block& block, const AttentionProblem& problem, float* scores,
                             int64_t stride) const;
  bool IsAttended(const Block& block, const KeyMask& mask) const;

  ScoreShape shape_;
  // Of a tile within a unit. Even where several small units are one tile.
  int64_t tile_rows_ = 0;
  int64_t tile_keys_ = 0;
  int64_t row_tiles_ = 0;
  int64_t key_tiles_ = 0;
  // More than 1 only where a unit is one block.
  int64_t units_per_tile_ = 1;
  int64_t tile_count_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_MATRIX_PLAN_H_
