#ifndef QKSERVE_SERVER_ADMISSION_SCORE_WORK_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_WORK_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_request.h"
#include "core/scoring/attention_plan.h"
#include "core/scoring/partials.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// A call's part in a pass over its key set.
struct PassRequest {
  KeySetRequest request;  // points into a ScoreWork
};

// The computation of an admitted call. All that the server asks of the scoring engine is asked
// here.
//
// A call with inline keys is cut into tiles of its own. Calls on a key set share passes.
// Thread-compatible; RunTile and MakePass may be called from several threads at the same time.
class ScoreWork {
 public:
  // Cuts the computation; allocates nothing large. `key_set` is null where the problem has keys of
  // its own. `shape` is that of the problem's queries and of its keys or the set's.
  ScoreWork(AttentionProblem problem, ScoreShape shape, std::shared_ptr<const KeySet> key_set);

  const AttentionProblem& problem() const { return problem_; }
  const ScoreShape& shape() const { return shape_; }
  const KeySet* key_set() const { return key_set_.get(); }  // null: inline keys

  // Bytes that it holds beside requests, results and scratch: partial results, and what grows with
  // the top k that is asked for.
  int64_t StateBytes() const;

  // Allocates the partial results that tiles share. RESOURCE_EXHAUSTED: there is no memory.
  absl::Status AllocatePartials();

  // Tiles, costs, group, tenant and rows. `gflops` is what one worker multiplies at.
  JobSpec MakeSpec(double gflops) const;

  // Computes one tile of a call with inline keys. RESOURCE_EXHAUSTED: no memory for its scratch.
  absl::Status RunTile(int64_t tile, const AttentionResults& results) const {
    return plan_->ComputeTile(tile, problem_, results, partials_.get());
  }

  // For a call on a key set. The request must not outlive this, nor may this move meanwhile.
  PassRequest MakePassRequest(const AttentionResults& results) const {
    return {{problem_, shape_, results}};
  }
  // `requests` are on this call's version of the key set. RESOURCE_EXHAUSTED: no memory.
  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) const;

 private:
  AttentionProblem problem_;
  ScoreShape shape_;
  std::shared_ptr<const KeySet> key_set_;
  std::unique_ptr<const AttentionPlan> plan_;  // null: the call is on a key set
  std::unique_ptr<PartialRows> partials_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_WORK_H_
