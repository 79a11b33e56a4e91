#include "base/clock.h"

#include <chrono>

namespace qkserve {
namespace {

class MonotonicClock : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() +
           absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace

const Clock* Clock::Monotonic() {
  static const MonotonicClock* const clock = new MonotonicClock();
  return clock;
}

}  // namespace qkserve
