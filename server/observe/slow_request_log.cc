#include "server/observe/slow_request_log.h"

#include <utility>

namespace qkserve {

SlowRequestLog::SlowRequestLog(absl::Duration threshold, LogSink log, const Clock* clock)
    : threshold_(threshold), log_(std::move(log)), clock_(*clock) {}

bool SlowRequestLog::Allow(int64_t* left_out) {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_.Now();
  if (now - period_begin_ >= kPeriod) {
    period_begin_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesMax) {
    ++left_out_;
    return false;
  }
  ++lines_;
  *left_out = std::exchange(left_out_, 0);
  return true;
}

void SlowRequestLog::Log(const Request& request) {
  int64_t left_out = 0;
  if (!Allow(&left_out)) return;
  const auto ms = [](absl::Duration time) { return absl::ToDoubleMilliseconds(time); };
  LogEvent event = {LogLevel::kWarning,
                    "slow request",
                    {{"method", request.method},
                     {"code", absl::StatusCodeToString(request.status.code())},
                     {"duration_ms", ms(request.duration)},
                     {"queued_ms", ms(request.receipt.queued)},
                     {"computed_ms", ms(request.receipt.computed)},
                     {"batch_requests", request.receipt.batch_requests},
                     {"rows", request.rows},
                     {"peer", request.peer}}};
  if (!request.key_set.empty()) event.fields.emplace_back("key_set", request.key_set);
  request.tags.AddTo(event);
  if (left_out > 0) event.fields.emplace_back("left_out", left_out);
  log_(event);
}

}  // namespace qkserve
