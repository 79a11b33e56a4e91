#ifndef QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
#define QKSERVE_CORE_BATCHING_FAIR_SHARE_H_

#include <compare>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "core/batching/job.h"

namespace qkserve {

// A lane of waiting work. If several lanes are due, the lower id goes first. So the kinds are in
// order of urgency.
struct LaneId {
  enum class Kind {
    kSmall,   // small jobs without a group
    kLarge,   // large jobs without a group
    kTenant,  // the jobs of a tenant's groups
    kHeavy    // such jobs that cost more than a pass may
  };
  Kind kind = Kind::kSmall;
  TenantId tenant = {};  // set for kTenant and kHeavy

  // clang-tidy 14 means a 0 that the compiler adds. NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const LaneId&, const LaneId&) = default;
};

// Chooses which of several lanes goes next. Each gets an equal share of the time while it has work,
// however much work it has and in whatever portions.
//
// A fair queue (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996). A lane's clock is the
// work that it was given. A lane that had no work starts at the clock of the others: it has saved
// up nothing. A lane that took more than its share and left still owes the rest when it comes back.
//
// Thread-compatible.
class FairShare {
 public:
  // Tells whether the lane has work. May be repeated.
  void SetActive(LaneId lane, bool active);

  // The number of lanes that are remembered. For tests.
  size_t size() const { return clocks_.size(); }

  bool HasActive() const { return !active_.empty(); }

  // The lane whose turn it is. Requires HasActive().
  LaneId Choose();

  // Advances the lane's clock by `cost`, the predicted time of the work taken from it. The lane may
  // have no work left.
  void Charge(LaneId lane, absl::Duration cost);

 private:
  // If there are many clocks, drops those of idle lanes that are not ahead of `now_`.
  void ForgetIdle();

  absl::Duration now_;  // clock of the lane that was chosen last
  // Clocks of active lanes, and of idle ones that may be ahead of `now_`.
  std::map<LaneId, absl::Duration> clocks_;
  std::set<std::pair<absl::Duration, LaneId>> active_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
