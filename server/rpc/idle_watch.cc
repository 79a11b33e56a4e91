#include "server/rpc/idle_watch.h"

#include <algorithm>
#include <utility>

namespace qkserve {

IdleWatch::IdleWatch(const Clock* clock, absl::Duration idle_max)
    : clock_(*clock), idle_max_(idle_max), thread_([this] {
        ExpireOverdue();
        constexpr int kLooksInIdleMax = 4;
        MutexLock lock(&mutex_);
        return std::min(absl::Seconds(1), idle_max_ / kLooksInIdleMax);
      }) {}

void IdleWatch::Arm(const void* call, std::function<void()> on_idle) {
  const absl::Time now = clock_.Now();
  MutexLock lock(&mutex_);
  waiting_[call] = {now, std::move(on_idle)};
}

bool IdleWatch::Disarm(const void* call) {
  MutexLock lock(&mutex_);
  return waiting_.erase(call) > 0;
}

void IdleWatch::SetIdleMax(absl::Duration idle_max) {
  {
    MutexLock lock(&mutex_);
    idle_max_ = idle_max;
  }
  thread_.Wake();
}

void IdleWatch::ExpireOverdue() {
  MutexLock lock(&mutex_);
  const absl::Time idle_since = clock_.Now() - idle_max_;
  std::erase_if(waiting_, [idle_since](const auto& entry) {
    const Waiting& waiting = entry.second;
    const bool is_overdue = waiting.since <= idle_since;
    // on_idle is called under the lock, because Disarm must know whether it was called.
    if (is_overdue) waiting.on_idle();
    return is_overdue;
  });
}

}  // namespace qkserve
