#include "core/batching/tenant_loads.h"

#include <algorithm>

namespace qkserve {

void TenantLoads::Add(const LaneId& lane, int64_t requests, absl::Duration cost) {
  Level& level = LevelOf(lane);
  level.requests += requests;
  level.cost += cost;
  Forget(lane.tenant);
}

void TenantLoads::RemoveLane(const LaneId& lane) {
  --LevelOf(lane).lanes;
  Forget(lane.tenant);
}

void TenantLoads::Forget(TenantId tenant) {
  const auto found = tenants_.find(tenant);
  const bool is_empty =
      std::all_of(found->second.begin(), found->second.end(),
                  [](const Level& level) { return level.requests == 0 && level.lanes == 0; });
  if (is_empty) tenants_.erase(found);
}

QueueSummary TenantLoads::SeenBy(const LaneId& lane, const QueueSummary& all) const {
  QueueSummary seen = {.busy = all.busy};
  const auto found = tenants_.find(lane.tenant);
  if (found == tenants_.end()) return seen;
  Level mine;
  for (size_t i = 0; i <= static_cast<size_t>(lane.priority); ++i) {
    mine.requests += found->second[i].requests;
    mine.cost += found->second[i].cost;
  }
  const auto tenants = static_cast<int64_t>(tenants_.size());
  seen.large_requests = std::min(all.requests(), mine.requests * tenants);
  seen.large_cost = std::min(all.cost(), mine.cost * tenants);
  return seen;
}

absl::Duration TenantLoads::OthersMeanwhile(const LaneId& lane, bool is_active, absl::Duration own,
                                            absl::Duration in_lane, absl::Duration total,
                                            double ratio) const {
  const auto found = tenants_.find(lane.tenant);
  Levels mine;
  if (found != tenants_.end()) mine = found->second;
  const Level& level = mine[static_cast<size_t>(lane.priority)];
  const absl::Duration all_mine = (mine[0].cost + mine[1].cost) * ratio;
  absl::Duration within = std::min(std::max(level.cost * ratio - in_lane, absl::ZeroDuration()),
                                   own * (level.lanes - (is_active ? 1 : 0)));
  if (lane.priority == Priority::kLow) within += mine[0].cost * ratio;
  const auto others = static_cast<int64_t>(tenants_.size()) - (found != tenants_.end() ? 1 : 0);
  return within +
         std::min(std::max(total - all_mine, absl::ZeroDuration()), (own + within) * others);
}

}  // namespace qkserve
