#ifndef QKSERVE_BASE_BACKGROUND_THREAD_H_
#define QKSERVE_BASE_BACKGROUND_THREAD_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {

// Runs a step again and again on its own thread.
//
// Guarantees:
//  1. The first step begins at once. A later step begins when Wake is called, or after the pause
//     that the previous step returned.
//  2. Steps never overlap. None begins after RequestStop.
//  3. The destructor returns when the last step has ended.
//
// Thread-safe, except for the destructor. Declare the object after the members that the step uses.
class BackgroundThread {
 public:
  // Does some work. Returns the length of the pause before the next step, from 0 to infinity. A
  // step may call any method of this object.
  using Step = std::function<absl::Duration()>;

  // Throws std::system_error if the system gives no thread.
  explicit BackgroundThread(Step step) : step_(std::move(step)), thread_([this] { Loop(); }) {}

  ~BackgroundThread() {
    RequestStop();
    thread_.join();
  }

  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

  // Ends the pause. If a step is running, the pause after it is skipped. Does not block.
  void Wake() {
    MutexLock lock(&mutex_);
    is_woken_ = true;
    changed_.NotifyAll();
  }

  // Ends the pause. No further step begins; a running step finishes. Does not block.
  void RequestStop() {
    MutexLock lock(&mutex_);
    is_stopping_ = true;
    changed_.NotifyAll();
  }
  bool IsStopRequested() const {
    MutexLock lock(&mutex_);
    return is_stopping_;
  }

 private:
  void Loop() {
    while (!IsStopRequested()) Pause(step_());
  }

  void Pause(absl::Duration length) {
    const Clock& clock = *Clock::Monotonic();
    const absl::Time end = clock.Now() + length;
    MutexLock lock(&mutex_);
    while (!is_stopping_ && !is_woken_) {
      const absl::Duration left = end - clock.Now();
      if (left <= absl::ZeroDuration()) break;
      changed_.WaitFor(&mutex_, left);
    }
    is_woken_ = false;
  }

  const Step step_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool is_woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last, because the thread uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_BACKGROUND_THREAD_H_
