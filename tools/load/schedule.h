#ifndef QKSERVE_TOOLS_LOAD_SCHEDULE_H_
#define QKSERVE_TOOLS_LOAD_SCHEDULE_H_

#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace qkserve {

enum class Arrivals { kPoisson, kConstant };

// Requests a second over time: `from` for as long as `hold`, then changing evenly to `to` within
// `ramp`. Both rates are 0 or more, and one is positive.
struct RateProfile {
  double from = 0;
  double to = 0;
  absl::Duration hold = absl::ZeroDuration();
  absl::Duration ramp = absl::ZeroDuration();

  absl::Duration Length() const { return hold + ramp; }
  double RateAt(absl::Duration at) const;

  // The number of requests that are expected before `at`.
  double ExpectedBefore(absl::Duration at) const;

  // The time by which this many are expected. InfiniteDuration: not within the length.
  absl::Duration WhenExpected(double count) const;
};

// The intended times of requests, counted from the begin of a load. They depend on the arguments
// alone.
//
// Poisson: the count so far grows by exponential steps, which makes the gaps of a process whose
// rate changes right as well (time rescaling: Çinlar, Introduction to Stochastic Processes, 1975).
//
// Thread-compatible.
class Schedule {
 public:
  Schedule(const RateProfile& profile, Arrivals arrivals, uint64_t seed);

  const RateProfile& profile() const { return profile_; }

  // The next intended time, never before the last one. InfiniteDuration: the schedule is over.
  absl::Duration Next();

 private:
  RateProfile profile_;
  Arrivals arrivals_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_{1.0};
  double count_ = 0;
  bool first_ = true;
};

// Decides what a sender of an open loop does next. Sender i sends the requests i, i + senders, i +
// 2·senders, ... of the schedule; together the senders send all of it.
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

#endif  // QKSERVE_TOOLS_LOAD_SCHEDULE_H_
