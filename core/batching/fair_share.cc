#include "core/batching/fair_share.h"

#include <algorithm>

namespace qkserve {

void FairShare::SetActive(LaneId lane, bool active) {
  absl::Duration& clock = clocks_.try_emplace(lane, now_).first->second;
  if (active && !active_.contains({clock, lane})) {
    clock = std::max(clock, now_);
    active_.emplace(clock, lane);
  } else if (!active) {
    active_.erase({clock, lane});
    ForgetIdle();
  }
}

void FairShare::ForgetIdle() {
  if (clocks_.size() < 2 * active_.size() + 64) return;
  std::erase_if(clocks_, [this](const auto& entry) {
    const auto& [lane, clock] = entry;
    // If no lane is active, there is none to be ahead of, and every clock may go.
    return !active_.contains({clock, lane}) && (clock <= now_ || active_.empty());
  });
}

LaneId FairShare::Choose() {
  const auto& [clock, lane] = *active_.begin();
  now_ = std::max(now_, clock);
  return lane;
}

void FairShare::Charge(LaneId lane, absl::Duration cost) {
  absl::Duration& clock = clocks_.try_emplace(lane, now_).first->second;
  const bool is_active = active_.erase({clock, lane}) > 0;
  clock = std::max(clock, now_) + cost;
  if (is_active) active_.emplace(clock, lane);
}

}  // namespace qkserve
