#ifndef QKSERVE_CORE_ATTENTION_SCORE_PLAN_H_
#define QKSERVE_CORE_ATTENTION_SCORE_PLAN_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/attention/score_shape.h"
#include "core/tensor.h"

namespace qkserve {

// What to compute: result = scale * Q·Kᵀ. The memory must outlive the computation.
struct ScoreProblem {
  TensorView queries;  // [.., n, d]
  TensorView keys;     // [.., m, d]
  float scale = 1.0F;
  DataType result_type = DataType::kFloat32;
};

// How a score matrix is cut into tiles that any threads may compute in any order, at the same time.
//
// Invariants:
//  1. The cut depends on the request's shape alone, never on load, workers or measured speed: so
//     does every bit of the result.
//  2. Each element of the result is written by exactly one tile.
//  3. A tile costs at most kTileMultiplyAdds (but at least one dot product).
//
// Immutable, so thread-safe.
class ScorePlan {
 public:
  explicit ScorePlan(const ScoreShape& shape);

  const ScoreShape& shape() const { return shape_; }

  // 0 where the result is empty.
  int64_t tile_count() const { return tile_count_; }

  // Query rows over all leading dimensions.
  int64_t rows() const { return shape_.units * shape_.UnitRows(); }

  // What one worker that multiplies at `gflops` should need for all tiles: the longer of the
  // arithmetic and of reading the operands, plus a little.
  absl::Duration PredictCost(double gflops) const;

  // Computes one tile, 0 <= tile < tile_count(), of `problem`, whose shapes are those of the plan,
  // into `result` ([.., n, m] elements of problem.result_type, aligned to its elements).
  // RESOURCE_EXHAUSTED: no memory for the tile's scratch.
  absl::Status ComputeTile(int64_t tile, const ScoreProblem& problem, std::byte* result) const;

 private:
  // Rows [row, row + rows) against keys [key, key + keys) of one unit.
  struct Block {
    int64_t unit, row, rows, key, keys;
  };
  absl::Status ComputeBlock(const Block& block, const ScoreProblem& problem,
                            std::byte* result) const;

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

#endif  // QKSERVE_CORE_ATTENTION_SCORE_PLAN_H_
