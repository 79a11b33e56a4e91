#ifndef QKSERVE_TOOLS_LOAD_PACER_H_
#define QKSERVE_TOOLS_LOAD_PACER_H_

#include <cstdint>

#include "absl/time/time.h"
#include "tools/load/schedule.h"

namespace qkserve {

// Says what a sender of an open loop does next. Sender i sends the requests i, i + senders,
// i + 2·senders, ... of the schedule; together the senders send all of it.
//
// A request that is behind is sent as soon as possible and keeps the time at which it was intended.
// Only the end of the schedule drops requests.
//
// Pure: time is an argument, counted from the begin of the load. Thread-compatible.
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

  // `in_flight_max` is that of this sender; positive.
  Pacer(const Schedule& schedule, int sender, int senders, int64_t in_flight_max);

  int64_t in_flight_max() const { return in_flight_max_; }

  // A kSend counts as sent. Requests that are up to 10 ms late at the end are still sent.
  Step Next(absl::Duration now, int64_t in_flight);

  // Counts the requests that were due in [begin, end) and not sent. Call it last: it uses the rest
  // of the schedule up.
  int64_t TakeUnsent(absl::Duration begin, absl::Duration end);

 private:
  absl::Duration NextOfSender(int skip);

  Schedule schedule_;
  const int senders_;
  const int64_t in_flight_max_;
  absl::Duration next_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_PACER_H_
