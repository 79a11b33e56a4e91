#include "tools/load/pacer.h"

namespace qkserve {
namespace {

// Beyond the end, for what was due just before: threads wake late.
constexpr absl::Duration kGrace = absl::Milliseconds(10);

}  // namespace

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
