#include "tools/load/schedule.h"

#include <algorithm>
#include <cmath>

namespace qkserve {
namespace {

// The time after the end in which late requests are still sent, because threads wake late.
constexpr absl::Duration kGrace = absl::Milliseconds(10);

}  // namespace

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
  // Solves from * s + slope / 2 * s^2 = rest for s, in the form without cancellation.
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

Pacer::Pacer(const Schedule& schedule, int sender, int senders, int64_t in_flight_max)
    : schedule_(schedule),
      senders_(senders),
      in_flight_max_(in_flight_max),
      next_(NextOfSender(sender)) {}

absl::Duration Pacer::NextOfSender(int skip) {
  for (int i = 0; i < skip; ++i) schedule_.Next();
  return schedule_.Next();
}

Pacer::Step Pacer::Next(absl::Duration now, int64_t in_flight) {
  if (next_ == absl::InfiniteDuration() || now > schedule_.profile().Length() + kGrace) {
    return {Step::kEnd, next_};
  }
  if (now < next_) return {Step::kSleep, next_};
  if (in_flight >= in_flight_max_) return {Step::kFull, next_};
  const Step send = {Step::kSend, next_};
  next_ = NextOfSender(senders_ - 1);
  return send;
}

int64_t Pacer::TakeUnsent(absl::Duration begin, absl::Duration end) {
  int64_t unsent = 0;
  for (; next_ < end; next_ = NextOfSender(senders_ - 1)) {
    if (next_ >= begin) ++unsent;
  }
  return unsent;
}

}  // namespace qkserve
