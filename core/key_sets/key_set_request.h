#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_REQUEST_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_REQUEST_H_

#include <cstdint>

#include "absl/time/time.h"
#include "core/key_sets/key_set.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// A request against a key set, and where its results go. `problem.keys` and `problem.values` are
// not read: the set has them. `shape` is that of the queries and the set's keys.
struct KeySetRequest {
  const AttentionProblem& problem;
  const ScoreShape& shape;
  AttentionResults results;
};

// The keys of a set are gone over in splits of `keys` keys, `count` of them, anchored at key 0. A
// function of the set alone: context is summed split by split, so its bits depend on the cut.
struct KeySplits {
  int64_t keys = 1;
  int64_t count = 1;
};
KeySplits SplitKeys(const KeySetLayout& layout, int64_t m);

// Bytes that a pass holds for a request beside its results.
int64_t KeySetStateBytes(const KeySet& key_set, const AttentionProblem& problem,
                         const ScoreShape& shape);

// What a request should cost one worker that multiplies at `gflops`: alone, and the part of it that
// requests in one pass pay once, which is reading the keys.
struct KeySetCost {
  absl::Duration alone;
  absl::Duration shared;
};
KeySetCost PredictKeySetCost(const KeySet& key_set, const AttentionProblem& problem,
                             const ScoreShape& shape, double gflops);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_REQUEST_H_
