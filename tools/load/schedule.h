#ifndef QKSERVE_TOOLS_LOAD_SCHEDULE_H_
#define QKSERVE_TOOLS_LOAD_SCHEDULE_H_

#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace qkserve {

enum class Arrivals { kPoisson, kConstant };

// Requests a second over time. The rate is `from` during `hold` and then changes linearly to `to`
// during `ramp`. Both rates are 0 or more, and one is positive.
struct RateProfile {
  double from = 0;
  double to = 0;
  absl::Duration hold = absl::ZeroDuration();
  absl::Duration ramp = absl::ZeroDuration();

  absl::Duration Length() const { return hold + ramp; }
  double RateAt(absl::Duration at) const;

  // Returns the number of requests that are expected before `at`.
  double ExpectedBefore(absl::Duration at) const;

  // Returns the time by which `count` requests are expected, or InfiniteDuration if the profile
  // ends earlier.
  absl::Duration WhenExpected(double count) const;
};

// The intended times of requests, counted from the start of a load. They depend only on the
// arguments.
//
// For Poisson arrivals, the gaps in the expected count are exponential, and not the gaps in time.
// This is right even if the rate changes (time rescaling: Çinlar, Introduction to Stochastic
// Processes, 1975).
//
// Thread-compatible.
class Schedule {
 public:
  Schedule(const RateProfile& profile, Arrivals arrivals, uint64_t seed);

  const RateProfile& profile() const { return profile_; }

  // Returns the next intended time, which is never before the last one. InfiniteDuration: the
  // schedule is over.
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
// 2·senders, ... of the schedule. Together the senders send the whole schedule.
//
// A late request is sent as soon as possible and keeps its intended time. Requests are dropped only
// at the end of the schedule.
//
// Pure: the time is an argument, counted from the start of the load. Thread-compatible.
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

  // This sender may have at most `in_flight_max` requests in flight. The limit is positive.
  Pacer(const Schedule& schedule, int sender, int senders, int64_t in_flight_max);

  int64_t in_flight_max() const { return in_flight_max_; }

  // Returns the next step. A kSend counts as sent. Late requests are sent until 10 ms after the
  // end.
  Step Next(absl::Duration now, int64_t in_flight);

  // Counts the requests that were due in [begin, end) and not sent. Call it last, because it uses
  // up the rest of the schedule.
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
