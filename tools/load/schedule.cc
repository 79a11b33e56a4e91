#include "tools/load/schedule.h"

#include <algorithm>
#include <cmath>

namespace qkserve {

double RateProfile::RateAt(absl::Duration at) const {
  if (at <= hold) return from;
  if (at >= Length()) return to;
  return from + (to - from) * absl::FDivDuration(at - hold, ramp);
}

double RateProfile::ExpectedBefore(absl::Duration at) const {
  at = std::clamp(at, absl::ZeroDuration(), Length());
  const double held = from * absl::ToDoubleSeconds(std::min(at, hold));
  if (at <= hold) return held;
  return held + (from + RateAt(at)) / 2 * absl::ToDoubleSeconds(at - hold);
}

absl::Duration RateProfile::WhenExpected(double count) const {
  const double held = from * absl::ToDoubleSeconds(hold);
  if (count < held) return absl::Seconds(count / from);
  const double rest = count - held;
  if (rest <= 0) return hold;
  // from * s + slope / 2 * s^2 = rest, in the form that does not cancel.
  const double ramp_seconds = absl::ToDoubleSeconds(ramp);
  const double slope = ramp_seconds > 0 ? (to - from) / ramp_seconds : 0;
  const double discriminant = from * from + 2 * slope * rest;
  if (discriminant < 0) return absl::InfiniteDuration();
  const double seconds = 2 * rest / (from + std::sqrt(discriminant));
  return seconds < ramp_seconds ? hold + absl::Seconds(seconds) : absl::InfiniteDuration();
}

Schedule::Schedule(const RateProfile& profile, Arrivals arrivals, uint64_t seed)
    : profile_(profile), arrivals_(arrivals), random_(seed) {}

absl::Duration Schedule::Next() {
  if (arrivals_ == Arrivals::kPoisson) {
    count_ += gap_(random_);
  } else if (!first_) {
    count_ += 1;
  }
  first_ = false;
  return profile_.WhenExpected(count_);
}

}  // namespace qkserve
