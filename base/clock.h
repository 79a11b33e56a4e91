#ifndef QKSERVE_BASE_CLOCK_H_
#define QKSERVE_BASE_CLOCK_H_

#include <chrono>

#include "absl/time/time.h"

namespace qkserve {

// The source of time. A clock is injected everywhere, so that tests decide what time it is.
// Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Returns a time that never goes back. It can be compared only with times of the same clock.
  // Therefore deadlines from outside are converted to "Now() + time left" when they arrive.
  virtual absl::Time Now() const = 0;

  // Returns the machine's monotonic clock. It is never destroyed.
  static const Clock* Monotonic();
};

inline const Clock* Clock::Monotonic() {
  class MonotonicClock final : public Clock {
    absl::Time Now() const override {
      return absl::UnixEpoch() +
             absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
    }
  };
  static const Clock* const clock = new MonotonicClock();
  return clock;
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_CLOCK_H_
