#ifndef QKSERVE_SERVER_ADMISSION_SCORE_TASK_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_TASK_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// A call's part in a pass.
struct PassRequest {
  ScoreRequest request;  // points into a ScoreTask
};

// The computation of an admitted call. All that the server asks of the scoring engine is asked
// here.
//
// A call with inline keys has a pass of its own. Calls on a key set share passes.
// Movable. RunTile and MakePass may be called from several threads at the same time.
class ScoreTask {
 public:
  // Allocates nothing large. `key_set` is null if the problem has keys of its own. `shape` is that
  // of the problem's queries and of its keys or the set's.
  ScoreTask(AttentionProblem problem, ScoreShape shape, std::shared_ptr<const KeySet> key_set);

  const AttentionProblem& problem() const { return inputs_->problem; }
  const ScoreShape& shape() const { return inputs_->shape; }
  const KeySource& source() const { return *source_; }
  const KeySet* key_set() const { return key_set_.get(); }  // null: inline keys

  // Bytes of state that the call holds at a time, beside request, results and scratch.
  int64_t StateBytes() const;

  // Gives the memory of the results, which must outlive this. Call it once, before what follows.
  // RESOURCE_EXHAUSTED: there is no memory.
  absl::Status Prepare(const AttentionResults& results);

  // Tiles, costs, group, tenant and rows. `gflops` is the rate of one worker.
  JobSpec MakeSpec(double gflops) const;

  // Computes one tile of a call with inline keys. RESOURCE_EXHAUSTED: no memory for its scratch.
  absl::Status RunTile(int64_t tile) const { return own_pass_->RunTile(tile); }

  // For a call on a key set. The request lives as long as this.
  const PassRequest* pass_request() const { return &*inputs_->pass_request; }
  // `requests` are on this call's version of the key set. RESOURCE_EXHAUSTED: no memory.
  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) const;

 private:
  // Passes point to these, so they stay where they are when the task moves.
  struct Inputs {
    AttentionProblem problem;
    ScoreShape shape;
    std::optional<PassRequest> pass_request;
  };

  std::unique_ptr<Inputs> inputs_;
  std::shared_ptr<const KeySet> key_set_;
  std::shared_ptr<const KeySource> source_;
  std::unique_ptr<Pass> own_pass_;  // null on a key set
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_TASK_H_
