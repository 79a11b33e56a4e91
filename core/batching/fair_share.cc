#include "core/batching/fair_share.h"

namespace qkserve {

void FairShare::SetActive(const LaneId& lane, bool active) {
  const auto found = lanes_.find(lane.tenant);
  if (found == lanes_.end() && !active) return;
  Lanes& lanes = found != lanes_.end() ? found->second : lanes_[lane.tenant];
  lanes.Of(lane.priority).SetActive(lane, active);
  const bool has_work = lanes.HasActive();
  if (!has_work) lanes_.erase(lane.tenant);
  tenants_.SetActive(lane.tenant, has_work);
}

size_t FairShare::size() const {
  size_t sum = tenants_.size();
  for (const auto& [tenant, lanes] : lanes_) {
    for (const auto& turns : lanes.turns) sum += turns.size();
  }
  return sum;
}

LaneId FairShare::Choose() {
  Lanes& lanes = lanes_.at(tenants_.Choose());
  FairTurns<LaneId>& normal = lanes.Of(Priority::kNormal);
  return normal.HasActive() ? normal.Choose() : lanes.Of(Priority::kLow).Choose();
}

void FairShare::Charge(const LaneId& lane, absl::Duration cost) {
  tenants_.Charge(lane.tenant, cost);
  const auto found = lanes_.find(lane.tenant);
  if (found != lanes_.end()) found->second.Of(lane.priority).Charge(lane, cost);
}

}  // namespace qkserve
