#include "server/admission/score_task.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/scoring/inline_keys.h"
#include "core/scoring/score_cost.h"
#include "core/scoring/score_pass.h"

namespace qkserve {

ScoreTask::ScoreTask(AttentionProblem problem, ScoreShape shape,
                     std::shared_ptr<const KeySet> key_set)
    : inputs_(std::make_unique<Inputs>()), key_set_(std::move(key_set)) {
  inputs_->problem = std::move(problem);
  inputs_->shape = std::move(shape);
  if (key_set_ != nullptr) {
    source_ = key_set_;
  } else {
    source_ = std::make_shared<InlineKeys>(inputs_->problem, inputs_->shape);
  }
}

int64_t ScoreTask::StateBytes() const {
  return qkserve::StateBytes(*source_, inputs_->problem, inputs_->shape);
}

absl::Status ScoreTask::Prepare(const AttentionResults& results) {
  inputs_->pass_request.emplace(PassRequest{{inputs_->problem, inputs_->shape, results}});
  if (key_set_ != nullptr) return absl::OkStatus();
  const ScoreRequest* const requests[] = {&inputs_->pass_request->request};
  absl::StatusOr<std::unique_ptr<Pass>> pass = MakeScorePass(source_, requests);
  if (!pass.ok()) return pass.status();
  own_pass_ = *std::move(pass);
  return absl::OkStatus();
}

JobSpec ScoreTask::MakeSpec(double gflops) const {
  const ScoreCost cost = PredictCost(*source_, inputs_->problem, inputs_->shape, gflops);
  JobSpec spec = {.cost = cost.alone, .shared_cost = cost.shared, .rows = inputs_->shape.Rows()};
  if (key_set_ == nullptr) {
    spec.tile_count = own_pass_->tile_count();
    return spec;
  }
  spec.group = GroupId{key_set_->id()};
  // The versions of a set have its name in common. Two names with the same hash would only share
  // one part of the time.
  spec.tenant = TenantId{std::hash<std::string>()(key_set_->name())};
  return spec;
}

absl::StatusOr<std::unique_ptr<Pass>> ScoreTask::MakePass(
    absl::Span<const PassRequest* const> requests) const {
  std::vector<const ScoreRequest*> all;
  all.reserve(requests.size());
  for (const PassRequest* request : requests) all.push_back(&request->request);
  return MakeScorePass(source_, all);
}

}  // namespace qkserve
