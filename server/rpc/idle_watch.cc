#include "server/rpc/idle_watch.h"

#include <algorithm>
#include <utility>

namespace qkserve {

IdleWatch::IdleWatch(const Clock* clock, absl::Duration idle_max)
    : clock_(*clock), idle_max_(idle_max), thread_([this] { Loop(); }) {}

IdleWatch::~IdleWatch() {
  {
    MutexLock lock(&mutex_);
    is_stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void IdleWatch::Begin(const void* who, std::function<void()> on_idle) {
  const absl::Time now = clock_.Now();
  MutexLock lock(&mutex_);
  waiting_[who] = {now, std::move(on_idle)};
}

bool IdleWatch::End(const void* who) {
  MutexLock lock(&mutex_);
  return waiting_.erase(who) > 0;
}

void IdleWatch::SetIdleMax(absl::Duration idle_max) {
  MutexLock lock(&mutex_);
  idle_max_ = idle_max;
  changed_.NotifyAll();
}

void IdleWatch::Loop() {
  constexpr int kLooksInIdleMax = 4;
  MutexLock lock(&mutex_);
  while (!is_stopping_) {
    LookLocked();
    changed_.WaitFor(&mutex_, std::min(absl::Seconds(1), idle_max_ / kLooksInIdleMax));
  }
}

void IdleWatch::Look() {
  MutexLock lock(&mutex_);
  LookLocked();
}

void IdleWatch::LookLocked() {
  const absl::Time idle_since = clock_.Now() - idle_max_;
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    if (entry->second.since > idle_since) {
      ++entry;
      continue;
    }
    // Under the lock: so End tells truly whether it was called.
    entry->second.on_idle();
    entry = waiting_.erase(entry);
  }
}

}  // namespace qkserve
