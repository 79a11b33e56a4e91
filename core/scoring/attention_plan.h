#ifndef QKSERVE_CORE_SCORING_ATTENTION_PLAN_H_
#define QKSERVE_CORE_SCORING_ATTENTION_PLAN_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

class PartialRows;

// How a request is cut into tiles that any threads may compute in any order, at the same time.
//
// Invariants:
//  1. The cut depends on the request's shape and options alone, never on load, workers or measured
//     speed: so does every bit of the result.
//  2. Each element of the results is written by exactly one tile.
//
// Immutable, so thread-safe.
class AttentionPlan {
 public:
  virtual ~AttentionPlan() = default;

  virtual const ScoreShape& shape() const = 0;

  // 0 where there is nothing to do.
  virtual int64_t tile_count() const = 0;

  // What one worker that multiplies at `gflops` should need for all tiles.
  virtual absl::Duration PredictCost(double gflops) const = 0;

  // Bytes that tiles hold beside results and scratch: what they tell each other, and what grows
  // with the top k that is asked for.
  virtual int64_t state_bytes() const { return 0; }
  // The memory for what tiles tell each other; null if they tell nothing. RESOURCE_EXHAUSTED: there
  // is no memory.
  virtual absl::StatusOr<std::unique_ptr<PartialRows>> AllocatePartials() const;

  // Computes one tile, 0 <= tile < tile_count(), of `problem`, for which the plan was made.
  // `partials` is AllocatePartials', one a run. RESOURCE_EXHAUSTED: no memory for the tile's
  // scratch.
  virtual absl::Status ComputeTile(int64_t tile, const AttentionProblem& problem,
                                   const AttentionResults& results,
                                   PartialRows* partials) const = 0;
};

// The plan for the problem's output. `shape` is that of its queries and keys.
std::unique_ptr<const AttentionPlan> MakeAttentionPlan(const AttentionProblem& problem,
                                                       const ScoreShape& shape);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ATTENTION_PLAN_H_
