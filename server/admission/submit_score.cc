#include "server/admission/submit_score.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "core/batching/job.h"
#include "server/admission/score_task.h"

namespace qkserve {
namespace {

// An admitted call as the batcher sees it. The responder keeps what the call points into until
// Finish has told it the end.
class ScoreJob final : public Job {
 public:
  ScoreJob(AdmittedScore score, Responder* responder)
      : score_(std::move(score)), responder_(*responder) {}

  absl::Status RunTile(int64_t tile) override { return score_.task.RunTile(tile); }

  const PassRequest* pass_request() const override { return score_.task.pass_request(); }

  absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) override {
    return score_.task.MakePass(requests);
  }

  void Finish(const absl::Status& status, const JobReceipt& receipt) override {
    const KeySet* const key_set = score_.task.key_set();
    const ScoreReceipt full = {.job = receipt, .rows = score_.spec.rows, .key_set = key_set};
    if (!status.ok()) {
      responder_.Fail(status, full);
      return;
    }
    if (key_set != nullptr) ++key_set->requests_served();
    responder_.Respond(score_.Result(), full);
  }

  bool IsCancelled() const override { return responder_.IsCancelled(); }

 private:
  AdmittedScore score_;
  Responder& responder_;
};

}  // namespace

void SubmitScore(ScoreCall call, Responder* responder, const AdmissionOptions& options,
                 Batcher* batcher) {
  absl::StatusOr<AdmittedScore> score = AdmitScore(std::move(call), options);
  if (!score.ok()) {
    responder->Fail(score.status(), {});
    return;
  }
  responder->Hold(std::move(score->charge));
  const JobSpec spec = score->spec;
  batcher->Submit(std::make_unique<ScoreJob>(*std::move(score), responder), spec);
}

}  // namespace qkserve
