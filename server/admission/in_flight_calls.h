#ifndef QKSERVE_SERVER_ADMISSION_IN_FLIGHT_CALLS_H_
#define QKSERVE_SERVER_ADMISSION_IN_FLIGHT_CALLS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {

// Counts calls in flight. A unary call counts from the arrival of its whole request until its
// response is sent. An upload counts from its beginning. Thread-safe.
class InFlightCalls {
 public:
  // Begin counts a call in, and End counts it out. Each Begin needs one End.
  void Begin() {
    MutexLock lock(&mutex_);
    ++calls_;
    ++begun_;
  }
  void End() {
    MutexLock lock(&mutex_);
    if (--calls_ == 0) none_.NotifyAll();
  }

  int64_t count() const {
    MutexLock lock(&mutex_);
    return calls_;
  }

  // The number of calls that have begun so far.
  int64_t begun() const {
    MutexLock lock(&mutex_);
    return begun_;
  }

  // Blocks until no call is in flight, or until `deadline` on `clock`. Returns how many calls are
  // left.
  int64_t AwaitNone(const Clock& clock, absl::Time deadline) {
    MutexLock lock(&mutex_);
    while (calls_ > 0) {
      const absl::Duration left = deadline - clock.Now();
      if (left <= absl::ZeroDuration()) break;
      none_.WaitFor(&mutex_, left);
    }
    return calls_;
  }

 private:
  mutable Mutex mutex_;
  CondVar none_;
  int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_IN_FLIGHT_CALLS_H_
