#ifndef QKSERVE_SERVER_RPC_IDLE_WATCH_H_
#define QKSERVE_SERVER_RPC_IDLE_WATCH_H_

#include <functional>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace qkserve {

// Knows who waits for a message of a client, and tells those who have waited for too long. A thread
// of its own looks four times in `idle_max`, at least once a second.
//
// Thread-safe. Whoever waits must stop waiting before this is destroyed.
class IdleWatch {
 public:
  // The clock must outlive it.
  IdleWatch(const Clock* clock, absl::Duration idle_max);
  ~IdleWatch();

  // `who` waits from now on. `on_idle` is called at most once, on the thread that looks, and must
  // not block or call this.
  void Begin(const void* who, std::function<void()> on_idle);

  // `who` waits no longer. False: on_idle was called.
  bool End(const void* who);

  // From now on, also for those who wait.
  void SetIdleMax(absl::Duration idle_max);

  // Tells those who have waited for too long by now. The thread calls it.
  void Look();

 private:
  struct Waiting {
    absl::Time since;
    std::function<void()> on_idle;
  };

  void Loop();
  void LookLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  absl::Duration idle_max_ ABSL_GUARDED_BY(mutex_);
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<const void*, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses what is above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_IDLE_WATCH_H_
