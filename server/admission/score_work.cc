#include "server/admission/score_work.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/key_sets/key_set_pass.h"

namespace qkserve {

ScoreWork::ScoreWork(AttentionProblem problem, ScoreShape shape,
                     std::shared_ptr<const KeySet> key_set)
    : problem_(std::move(problem)), shape_(std::move(shape)), key_set_(std::move(key_set)) {
  if (key_set_ == nullptr) plan_ = MakeAttentionPlan(problem_, shape_);
}

int64_t ScoreWork::StateBytes() const {
  return plan_ != nullptr ? plan_->state_bytes() : KeySetStateBytes(*key_set_, problem_, shape_);
}

absl::Status ScoreWork::AllocatePartials() {
  if (plan_ == nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<PartialRows>> partials = plan_->AllocatePartials();
  if (!partials.ok()) return partials.status();
  partials_ = *std::move(partials);
  return absl::OkStatus();
}

JobSpec ScoreWork::MakeSpec(double gflops) const {
  JobSpec spec = {.rows = shape_.Rows()};
  if (plan_ != nullptr) {
    spec.tile_count = plan_->tile_count();
    spec.cost = plan_->PredictCost(gflops);
    return spec;
  }
  const KeySetCost cost = PredictKeySetCost(*key_set_, problem_, shape_, gflops);
  spec.cost = cost.alone;
  spec.shared_cost = cost.shared;
  spec.group = GroupId{key_set_->id()};
  // The versions of a set have its name in common. Two names with the same hash would only share
  // one part of the time.
  spec.tenant = TenantId{std::hash<std::string>()(key_set_->name())};
  return spec;
}

absl::StatusOr<std::unique_ptr<Pass>> ScoreWork::MakePass(
    absl::Span<const PassRequest* const> requests) const {
  std::vector<const KeySetRequest*> all;
  all.reserve(requests.size());
  for (const PassRequest* request : requests) all.push_back(&request->request);
  absl::StatusOr<std::unique_ptr<KeySetPass>> pass = KeySetPass::Create(key_set_, all);
  if (!pass.ok()) return pass.status();
  return *std::move(pass);
}

}  // namespace qkserve
