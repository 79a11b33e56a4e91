#ifndef QKSERVE_TOOLS_LOAD_PACER_H_
#define QKSERVE_TOOLS_LOAD_PACER_H_

#include <cstdint>

#include "absl/time/time.h"
#include "tools/load/schedule.h"

namespace qkserve {

// What a lane of an open loop does next. `lanes` of them walk the same schedule, and each takes
// every so-manieth request: together they send all of it.
//
// What is due is due: requests that are behind are sent one after the other as fast as that goes,
// with the time at which they were intended. Only the end of the schedule ends that.
//
// Pure: time comes in as an argument, counted from the begin of the load. Thread-compatible.
class Pacer {
 public:
  struct Step {
    enum Kind {
      kSend,   // now; the request was intended for `at`
      kSleep,  // until `at`
      kFull,   // until an answer comes: the request of `at` is due, but too many are in flight
      kEnd,
    };
    Kind kind;
    absl::Duration at;
  };

  // in_flight_max: of this lane, positive.
  Pacer(const Schedule& schedule, int lane, int lanes, int64_t in_flight_max);

  int64_t in_flight_max() const { return in_flight_max_; }

  // kSend counts as sent. Requests that are a moment late at the end are still sent then.
  Step Next(absl::Duration now, int64_t in_flight);

  // How many requests of `begin` or later were due and not sent, once nothing more will be. Ends
  // the schedule.
  int64_t TakeUnsent(absl::Duration begin, absl::Duration end);

 private:
  absl::Duration NextOfLane(int skip);

  Schedule schedule_;
  const int lanes_;
  const int64_t in_flight_max_;
  absl::Duration next_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_PACER_H_
