#ifndef QKSERVE_CLIENT_RETRIES_H_
#define QKSERVE_CLIENT_RETRIES_H_

#include <optional>
#include <random>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/retry_budget.h"
#include "client/retry_policy.h"
#include "qkserve/client.h"

// This header is not for users of the library.

namespace qkserve {

// The retries of all calls to one server or proxy: the limit on a call's attempts, the budget and
// the counts. Thread-safe.
class Retries {
 public:
  // `clock` gives the budget's time and must outlive this object.
  explicit Retries(int attempts_max, const Clock* clock = Clock::Monotonic())
      : attempts_max_(attempts_max), clock_(clock) {}

  int attempts_max() const { return attempts_max_; }
  RetryCounts counts() const;

 private:
  friend class RetriedCall;

  void Begin();
  void End(bool is_ok, int attempts);
  bool TakeRetry();
  double Random();  // from [0, 1)

  const int attempts_max_;
  const Clock* const clock_;
  mutable Mutex mutex_;
  RetryBudget budget_ ABSL_GUARDED_BY(mutex_);
  RetryCounts counts_ ABSL_GUARDED_BY(mutex_);
  // The seed is random, because clients that started together must not make equal pauses.
  std::minstd_rand random_ ABSL_GUARDED_BY(mutex_) = std::minstd_rand(std::random_device()());
};

// One call with its attempts. The caller makes the attempts one after another, and the pauses
// between them, by sleeping or with a timer. It sends each attempt on another connection than the
// previous one. Thread-compatible.
class RetriedCall {
 public:
  // `retries` must outlive this object.
  RetriedCall(Retries* retries, Repeat repeat) : retries_(*retries), repeat_(repeat) {
    retries_.Begin();
  }
  RetriedCall(const RetriedCall&) = delete;
  RetriedCall& operator=(const RetriedCall&) = delete;
  ~RetriedCall() { retries_.End(is_ok_, attempts_); }

  // Takes the result of an attempt. `status` and `context` are the attempt's. `time_left` is the
  // time that the call still has. Returns the pause before the next attempt, or nullopt if the call
  // is over.
  std::optional<absl::Duration> PauseAfter(const grpc::Status& status,
                                           const grpc::ClientContext& context,
                                           absl::Duration time_left);

  int attempts() const { return attempts_; }  // attempts that have ended
  bool is_over_budget() const { return is_over_budget_; }

  // Adds to the call's last error how often the call was tried.
  absl::Status Explain(const absl::Status& status) const;

 private:
  Retries& retries_;
  const Repeat repeat_;
  int attempts_ = 0;
  bool is_ok_ = false;
  bool is_over_budget_ = false;
};

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_RETRIES_H_
