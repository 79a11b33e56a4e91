#include "server/rpc/reply_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace qkserve {
namespace {

constexpr int kLooksInTimeout = 4;

}  // namespace

ReplyWatch::ReplyWatch(const Clock* clock, absl::Duration timeout)
    : clock_(*clock), timeout_(timeout), thread_([this] {
        CancelOverdue();
        return timeout_ == absl::InfiniteDuration()
                   ? timeout_
                   : std::min(absl::Seconds(1), timeout_ / kLooksInTimeout);
      }) {}

void ReplyWatch::Arm(grpc_call* call, absl::Time deadline) {
  const absl::Time overdue = clock_.Now() + timeout_;
  if (deadline <= overdue) return;
  grpc_call_ref(call);
  Waiting waiting = {.overdue = overdue, .call = Reference(call)};
  MutexLock lock(&mutex_);
  waiting_.insert_or_assign(call, std::move(waiting));
}

void ReplyWatch::Disarm(grpc_call* call) {
  Waiting ended;  // its reference is released after the mutex
  MutexLock lock(&mutex_);
  const auto found = waiting_.find(call);
  if (found == waiting_.end()) return;
  ended = std::move(found->second);
  waiting_.erase(found);
}

void ReplyWatch::CancelOverdue() {
  std::vector<Reference> overdue;
  const absl::Time now = clock_.Now();
  {
    MutexLock lock(&mutex_);
    for (auto entry = waiting_.begin(); entry != waiting_.end();) {
      if (entry->second.overdue > now) {
        ++entry;
        continue;
      }
      overdue.push_back(std::move(entry->second.call));
      entry = waiting_.erase(entry);
    }
  }
  for (const Reference& call : overdue) grpc_call_cancel(call.get(), nullptr);
}

}  // namespace qkserve
