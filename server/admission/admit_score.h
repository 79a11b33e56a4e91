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

// The limits and parts that admission uses for its decisions. They do not change while the server
// runs. The pointers outlive all calls.
struct AdmissionOptions {
  int64_t message_bytes_max = 0;  // largest response
  ComputeSetup compute = {};
  const KeySetStore* key_sets = nullptr;
  ByteBudget* budget = nullptr;
};

// The part of a call that a pass needs.
struct PassRequest {
  ScoreRequest request;  // points into an AdmittedScore
};

// A call that was checked, planned and charged, as the batcher sees it. It can no longer fail
// because of the caller's input. The server uses the scoring engine only here.
//
// A call with inline keys has a separate pass. Calls on a key set share passes.
class AdmittedScore final : public Job {
 public:
  const AttentionProblem& problem() const { return problem_; }
  // The results, whose elements the tiles compute.
  const ComputedScore& result() const { return result_; }
  const JobSpec& spec() const { return spec_; }
  // The charge for request, results and state. Empty once the responder holds it.
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

  // `key_set` is null if the problem has inline keys. `shape` is the shape of the scores of the
  // queries against these keys.
  AdmittedScore(AttentionProblem&& problem, ScoreShape&& shape,
                std::shared_ptr<const KeySet> key_set, std::shared_ptr<Tenant> tenant);
  AdmittedScore(const AdmittedScore&) = delete;
  AdmittedScore& operator=(const AdmittedScore&) = delete;

  // Lays out the results, charges all memory of the call and allocates it. Decides how the call is
  // scheduled. RESOURCE_EXHAUSTED: there is no memory, or the results would not fit in a message.
  absl::Status Prepare(const ScoreCall& call, const AdmissionOptions& options);
  // Decides the shapes of the results. Returns the sum of their bytes.
  absl::StatusOr<int64_t> LayOutResults(bool log_sum_exp, int64_t message_bytes_max);

  const AttentionProblem problem_;
  const ScoreShape shape_;
  const std::shared_ptr<const KeySet> key_set_;
  const std::shared_ptr<const KeySource> source_;
  ByteBudget::Charge charge_;
  ComputedScore result_;
  PassRequest request_;
  std::unique_ptr<Pass> own_pass_;  // null for a call on a key set
  JobSpec spec_;
  const std::shared_ptr<Tenant> tenant_;               // may be null
  absl::Duration quota_taken_ = absl::ZeroDuration();  // taken from the tenant's quota
  Responder* responder_ = nullptr;                     // set when the call is submitted
};

// Makes every check of a call beyond its syntax, in a time that does not depend on the tensors'
// sizes. Nothing large is allocated before all checks are made. Reports the first error in this
// order: the permission for inline keys, options, queries, key set or keys, their fit, key lengths,
// mask, values, size of the result, memory.
//
// Errors: INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION, DATA_LOSS and
// RESOURCE_EXHAUSTED, as scoring.proto says. Error texts use the call's names of fields.
// Thread-safe.
absl::StatusOr<std::unique_ptr<AdmittedScore>> AdmitScore(ScoreCall&& call,
                                                          const AdmissionOptions& options);

// Admits a call of any protocol and submits it to the batcher, or fails it. Takes the call's
// predicted cost from its tenant's quota. The part that the call does not use, because it was
// refused or shared a pass, is given back. RESOURCE_EXHAUSTED: the quota is used up
// (Tenant::TakeQuota). The responder keeps the memory that the call points into. Exactly one of its
// Respond and Fail is called, perhaps before this returns. Does not block. Thread-safe.
void SubmitScore(ScoreCall&& call, Responder* responder, const AdmissionOptions& options,
                 Batcher* batcher);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_ADMIT_SCORE_H_
