#ifndef QKSERVE_CORE_SCORING_SCORE_COST_H_
#define QKSERVE_CORE_SCORING_SCORE_COST_H_

#include <cstdint>

#include "absl/time/time.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// A request has three costs. All are computed before the request runs, in constant time.
//
//  alone    The time that one worker should need for the request if nothing else runs.
//  shared   The part of `alone` that requests in one pass pay once: reading a key set. 0 for inline
//           keys.
//  state    The most bytes that its tiles hold at a time, without results and scratch.
//
// Example: 16 queries, top 10, over a key set of 10'000 keys of 768 float32, on a core with 100
// GFLOP/s.
//
//  - Reading 31 MB at 16 GB/s takes 1.9 ms: `shared`.
//  - The products take 2.5 ms, the stages 0.2 ms, top k 0.1 ms: `alone` is 4.7 ms.
//  - Ten such requests in one pass cost 1.9 + 10 * 2.8 = 30 ms instead of 47.
//  - A row has room for 42 entries of 8 bytes. The block keeps the 16 rows of a part that has
//    ended. On 2 cores, 2 parts run. Each of them holds its own 16 rows and, while it merges, 16
//    rows of another part. These 80 rows are 27 kB of `state`.
//
// Predictions decide order, grouping and refusals, but never the bits of results.
struct ScoreCost {
  absl::Duration alone;
  absl::Duration shared;
};
// Returns the costs for a worker that multiplies at `gflops` GFLOP/s.
ScoreCost PredictCost(const KeySource& source, const AttentionProblem& problem,
                      const ScoreShape& shape, double gflops);

// Returns the third cost, `state`. Admission charges it.
int64_t StateBytes(const KeySource& source, const AttentionProblem& problem,
                   const ScoreShape& shape);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_SCORE_COST_H_
