#include "server/observe/call_recorder.h"

namespace qkserve {

void SlowRequestLog::Log(const absl::Status& status, absl::Duration duration,
                         const ScoreReceipt& receipt, const std::string& peer,
                         const RequestTags& tags) {
  int64_t left_out = 0;
  {
    MutexLock lock(&mutex_);
    const absl::Time now = clock_.Now();
    if (now - period_begin_ >= kPeriod) {
      period_begin_ = now;
      lines_ = 0;
    }
    if (lines_ >= kLinesMax) {
      ++left_out_;
      return;
    }
    ++lines_;
    left_out = std::exchange(left_out_, 0);
  }
  const auto ms = [](absl::Duration time) { return absl::ToDoubleMilliseconds(time); };
  LogEvent event = {LogLevel::kWarning,
                    "slow request",
                    {{"method", "Score"},
                     {"code", absl::StatusCodeToString(status.code())},
                     {"duration_ms", ms(duration)},
                     {"queued_ms", ms(receipt.job.queued)},
                     {"computed_ms", ms(receipt.job.computed)},
                     {"batch_requests", receipt.job.batch_requests},
                     {"rows", receipt.rows},
                     {"peer", peer}}};
  if (receipt.key_set != nullptr) event.fields.emplace_back("key_set", receipt.key_set->name());
  tags.AddTo(event);
  if (left_out > 0) event.fields.emplace_back("left_out", left_out);
  log_(event);
}

void CallRecorder::RecordScore(const grpc::ServerContextBase& context, const absl::Status& status,
                               absl::Time arrival, const ScoreReceipt& receipt,
                               size_t response_bytes) const {
  const absl::Duration duration = clock_.Now() - arrival;
  metrics_.CountCall(Method::kScore, status.code(), duration);
  if (status.ok()) {
    metrics_.CountTimes(receipt.job);
    metrics_.CountSent(response_bytes);
  } else if (receipt.job.computed <= absl::ZeroDuration()) {
    metrics_.CountRefusal(RefusalOf(status));
  }
  if (!slow_requests_.IsSlow(duration)) return;
  slow_requests_.Log(status, duration, receipt, context.peer(), RequestTags::Of(context));
}

void CallRecorder::RecordCall(Method method, const absl::Status& status, absl::Time begin) const {
  metrics_.CountCall(method, status.code(), clock_.Now() - begin);
  // A deadline is no refusal here: it ends an upload under way.
  if (!absl::IsDeadlineExceeded(status)) metrics_.CountRefusal(RefusalOf(status));
}

void CallRecorder::LogChange(const grpc::ServerContextBase& context, LogEvent change) const {
  change.fields.emplace_back("peer", context.peer());
  RequestTags::Of(context).AddTo(change);
  log_(change);
}

}  // namespace qkserve
