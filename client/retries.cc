#include "client/retries.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace qkserve {

RetryCounts Retries::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

void Retries::Begin() {
  MutexLock lock(&mutex_);
  ++counts_.calls;
  budget_.BeginCall(clock_->Now());
}

void Retries::End(bool is_ok, int attempts) {
  MutexLock lock(&mutex_);
  budget_.EndCall();
  if (is_ok && attempts > 1) ++counts_.recovered;
}

bool Retries::TakeRetry() {
  MutexLock lock(&mutex_);
  const bool taken = budget_.TakeRetry(clock_->Now());
  ++(taken ? counts_.retries : counts_.over_budget);
  return taken;
}

double Retries::Random() {
  MutexLock lock(&mutex_);
  return std::uniform_real_distribution<double>()(random_);
}

std::optional<absl::Duration> RetriedCall::PauseAfter(const grpc::Status& status,
                                                      const grpc::ClientContext& context,
                                                      absl::Duration time_left) {
  ++attempts_;
  is_ok_ = status.ok();
  if (is_ok_ || attempts_ >= retries_.attempts_max()) return std::nullopt;
  const FailedAttempt attempt = FailedAttemptOf(status, context);
  if (!MayRepeat(repeat_, attempt)) return std::nullopt;
  const absl::Duration pause = RetryPause(attempts_, attempt, retries_.Random());
  // If the deadline would pass during the pause, the call fails now. The attempt's error says more
  // than the DEADLINE_EXCEEDED that would follow.
  if (pause >= time_left) return std::nullopt;
  is_over_budget_ = !retries_.TakeRetry();
  if (is_over_budget_) return std::nullopt;
  return pause;
}

absl::Status RetriedCall::Explain(const absl::Status& status) const {
  if (status.ok() || (attempts_ < 2 && !is_over_budget_)) return status;
  std::string text = absl::StrCat("attempt ", attempts_, " of ", retries_.attempts_max());
  if (is_over_budget_) absl::StrAppend(&text, "; the client's budget of retries is spent");
  if (repeat_ == Repeat::kChecked && absl::IsFailedPrecondition(status)) {
    absl::StrAppend(&text, "; an earlier attempt may have made this change: GetKeySet tells");
  }
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", text, ")"));
}

}  // namespace qkserve
