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

  // How many requests are expected before `at`.
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

  // Never before the one that came last. InfiniteDuration after the end.
  absl::Duration Next();

 private:
  RateProfile profile_;
  Arrivals arrivals_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_{1.0};
  double count_ = 0;
  bool first_ = true;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_SCHEDULE_H_
