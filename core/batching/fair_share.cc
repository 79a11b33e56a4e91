#include "core/batching/fair_share.h"

#include <algorithm>
#include <iterator>

namespace qkserve {

void FairShare::SetActive(LaneId lane, bool active) {
  absl::Duration& clock = clocks_.try_emplace(lane, now_).first->second;
  if (active && active_.count(std::pair(clock, lane)) == 0) {
    clock = std::max(clock, now_);
    active_.emplace(clock, lane);
  } else if (!active) {
    active_.erase(std::pair(clock, lane));
    ForgetIdle();
  }
}

void FairShare::ForgetIdle() {
  if (clocks_.size() < 2 * active_.size() + 64) return;
  for (auto entry = clocks_.begin(); entry != clocks_.end();) {
    const bool is_idle = active_.count(std::pair(entry->second, entry->first)) == 0;
    // With nothing to compare with, nobody is ahead of anybody.
    entry = is_idle && (entry->second <= now_ || active_.empty()) ? clocks_.erase(entry)
                                                                  : std::next(entry);
  }
}

LaneId FairShare::Choose() {
  const auto& [clock, lane] = *active_.begin();
  now_ = std::max(now_, clock);
  return lane;
}

void FairShare::Charge(LaneId lane, absl::Duration cost) {
  absl::Duration& clock = clocks_.try_emplace(lane, now_).first->second;
  const bool is_active = active_.erase(std::pair(clock, lane)) > 0;
  clock = std::max(clock, now_) + cost;
  if (is_active) active_.emplace(clock, lane);
}

}  // namespace qkserve
