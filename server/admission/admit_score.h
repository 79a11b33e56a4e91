#ifndef QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_
#define QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/byte_budget.h"
#include "core/batching/batcher.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set_store.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"
#include "server/admission/compute_setup.h"
#include "server/admission/responder.h"
#include "server/admission/score_call.h"

namespace qkserve {

// The limits and parts that admission decides by. Constant while the server runs; the pointers
// outlive all calls.
struct AdmissionOptions {
  int64_t message_bytes_max = 0;  // of the response
  ComputeSetup compute = {};
  const KeySetStore* key_sets = nullptr;
  ByteBudget* budget = nullptr;
};

// A call's part in a pass.
struct PassRequest {
  ScoreRequest request;  // points into an AdmittedScore
};

// A call that was checked, planned and charged, as the batcher sees it. It can no longer be refused
// for what its caller sent. The server uses the scoring engine here and nowhere else.
//
// A call with inline keys has a pass of its own. Calls on a key set share passes.
class AdmittedScore final : public Job {
 public:
  const AttentionProblem& problem() const { return problem_; }
  // The tiles compute its elements.
  const ComputedScore& result() const { return result_; }
  const JobSpec& spec() const { return spec_; }
  // For request, results and state; until the responder holds it.
  const ByteBudget::Charge& charge() const { return charge_; }

  absl::Status RunTile(int64_t tile) override { return own_pass_->RunTile(tile); }
  const PassRequest* pass_request() const override { return &request_; }
  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) override;
  void Finish(const absl::Status& status, const JobReceipt& receipt) override;
  bool IsCancelled() const override { return responder_->IsCancelled(); }

 private:
  friend absl::StatusOr<std::unique_ptr<AdmittedScore>> AdmitScore(ScoreCall&&,
                                                                   const AdmissionOptions&);
  friend void SubmitScore(ScoreCall&&, Responder*, const AdmissionOptions&, Batcher*);

  // `key_set` is null if the problem has keys of its own. `shape` is that of its queries and of its
  // keys or the set's.
  AdmittedScore(AttentionProblem&& problem, ScoreShape&& shape,
                std::shared_ptr<const KeySet> key_set);
  AdmittedScore(const AdmittedScore&) = delete;
  AdmittedScore& operator=(const AdmittedScore&) = delete;

  // Lays out the results, charges all memory of the call and allocates it, and decides how it is
  // scheduled. RESOURCE_EXHAUSTED: there is no memory, or the results would not fit in a message.
  absl::Status Prepare(const ScoreCall& call, const AdmissionOptions& options);
  // Decides the shapes of the results. Returns their bytes.
  absl::StatusOr<int64_t> LayOutResults(bool log_sum_exp, int64_t message_bytes_max);

  const AttentionProblem problem_;
  const ScoreShape shape_;
  const std::shared_ptr<const KeySet> key_set_;
  const std::shared_ptr<const KeySource> source_;
  ByteBudget::Charge charge_;
  ComputedScore result_;
  PassRequest request_;
  std::unique_ptr<Pass> own_pass_;  // null on a key set
  JobSpec spec_;
  Responder* responder_ = nullptr;  // set when it is submitted
};

// Makes every check of what a caller sent beside its syntax. The time does not depend on the
// tensors' sizes, and nothing large is allocated before all checks are made. The first error is
// reported, in this order: options, queries, key set or keys, their fit, key lengths, mask, values,
// size of the result, memory.
//
// Errors: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, DATA_LOSS and RESOURCE_EXHAUSTED, as
// scoring.proto says. They name fields as the call does. Thread-safe.
absl::StatusOr<std::unique_ptr<AdmittedScore>> AdmitScore(ScoreCall&& call,
                                                          const AdmissionOptions& options);

// Takes every score call to the batcher, whatever protocol it came by: admits and submits it, or
// fails it. The responder keeps the memory that the call points into. It gets exactly one Respond
// or Fail, maybe before this returns. Does not block. Thread-safe.
void SubmitScore(ScoreCall&& call, Responder* responder, const AdmissionOptions& options,
                 Batcher* batcher);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_
