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

// A lane of waiting work. Where several are due the lower one goes first, so kinds stand in the
// order of their urgency.
struct LaneId {
  enum class Kind {
    kSmall,   // small jobs without a group
    kLarge,   // large jobs without a group
    kTenant,  // the jobs of a tenant's groups
    kHeavy    // those of them that cost more than a pass may
  };
  Kind kind = Kind::kSmall;
  TenantId tenant = {};  // of kTenant and kHeavy

  friend auto operator<=>(const LaneId&, const LaneId&) = default;
};

// Chooses which of several lanes goes next: each gets an equal part of the time while it has work,
// however much of it and in whatever portions.
//
// A fair queue (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996). A lane's clock is the
// work that it was given. A lane that had nothing to do starts where the others are: it has saved
// up nothing. A lane that took more than its part and left still owes it when it comes back.
//
// Thread-compatible.
class FairShare {
 public:
  // The lane has work, or none any more. Repeating it changes nothing.
  void SetActive(LaneId lane, bool active);

  // Lanes it remembers.
  size_t size() const { return clocks_.size(); }

  bool HasActive() const { return !active_.empty(); }

  // The lane whose turn it is. Requires HasActive().
  LaneId Choose();

  // `cost` of work was taken from the lane, which may have none left.
  void Charge(LaneId lane, absl::Duration cost);

 private:
  // Drops clocks that mean nothing any more, where there are many.
  void ForgetIdle();

  absl::Duration now_;  // clock of the lane chosen last
  // Clocks of active lanes, and of idle ones that may be ahead of `now_`.
  std::map<LaneId, absl::Duration> clocks_;
  std::set<std::pair<absl::Duration, LaneId>> active_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
