#ifndef QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
#define QKSERVE_CORE_BATCHING_FAIR_SHARE_H_

#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "absl/time/time.h"

namespace qkserve {

// Which of several lanes of waiting work goes next: each gets an equal part of the time while it
// has work, however much of it and in whatever portions.
//
// A fair queue (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996). A lane's clock is the
// work that it was given; one that had nothing to do starts where the others are and has not saved
// up, and one that took more than its part and left does not lose that by leaving.
//
// Thread-compatible.
class FairShare {
 public:
  using Lane = const void*;  // an identity, never read

  // The lane has work, or none any more. Repeating it changes nothing.
  void SetActive(Lane lane, bool active);

  // Lanes it remembers.
  size_t size() const { return clocks_.size(); }

  bool HasActive() const { return !active_.empty(); }

  // The lane whose turn it is, where several are due that of the lower address. One must be active.
  Lane Choose();

  // `cost` of work was taken from the lane, which may have none left.
  void Charge(Lane lane, absl::Duration cost);

 private:
  // Drops clocks that mean nothing any more, where there are many.
  void ForgetIdle();

  absl::Duration now_;  // clock of the lane chosen last
  // Of active lanes, and of idle ones that may be ahead of `now_`.
  std::map<Lane, absl::Duration> clocks_;
  std::set<std::pair<absl::Duration, Lane>> active_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
