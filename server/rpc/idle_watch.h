#ifndef QKSERVE_SERVER_RPC_IDLE_WATCH_H_
#define QKSERVE_SERVER_RPC_IDLE_WATCH_H_

#include <functional>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {

// Ends calls that have waited longer than `idle_max` for a message from their client. A thread
// looks for such calls four times in `idle_max`, at least once a second.
//
// Thread-safe. Every call must be disarmed or expired before this is destroyed.
class IdleWatch {
 public:
  // The clock must outlive this object.
  IdleWatch(const Clock* clock, absl::Duration idle_max);

  // Records that `call` waits from now on. The pointer only identifies the call. If the call waits
  // too long, the watching thread calls `on_idle` once. `on_idle` must not block or call this
  // object.
  void Arm(const void* call, std::function<void()> on_idle);

  // Records that `call` waits no longer. Returns false if its on_idle was called.
  bool Disarm(const void* call);

  // Sets the limit, even for calls that already wait.
  void SetIdleMax(absl::Duration idle_max);

  // Ends the calls that have waited too long. The watching thread calls this.
  void ExpireOverdue();

 private:
  struct Waiting {
    absl::Time since;
    std::function<void()> on_idle;
  };

  const Clock& clock_;
  Mutex mutex_;
  absl::Duration idle_max_ ABSL_GUARDED_BY(mutex_);
  std::map<const void*, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  BackgroundThread thread_;  // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_IDLE_WATCH_H_
