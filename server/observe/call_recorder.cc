#include "server/observe/call_recorder.h"

namespace qkserve {

void CallRecorder::RecordScore(const grpc::ServerContextBase& context, const absl::Status& status,
                               const Score& score) const {
  const absl::Duration duration = clock_.Now() - score.arrival;
  metrics_.CountCall(Method::kScore, status.code(), duration);
  if (status.ok()) {
    metrics_.CountTimes(score.receipt);
    metrics_.CountSent(score.response_bytes);
  } else if (score.receipt.computed <= absl::ZeroDuration()) {
    metrics_.CountRefusal(RefusalOf(status));
  }
  if (!slow_requests_.IsSlow(duration)) return;
  slow_requests_.Log({.method = kMethodNames[static_cast<size_t>(Method::kScore)],
                      .status = status,
                      .duration = duration,
                      .receipt = score.receipt,
                      .rows = score.rows,
                      .key_set = score.key_set != nullptr ? score.key_set->name() : "",
                      .peer = context.peer(),
                      .tags = RequestTags::Of(context)});
}

void CallRecorder::RecordCall(Method method, const absl::Status& status, absl::Time begin) const {
  metrics_.CountCall(method, status.code(), clock_.Now() - begin);
  // A deadline ends an upload under way.
  if (!absl::IsDeadlineExceeded(status)) metrics_.CountRefusal(RefusalOf(status));
}

void CallRecorder::LogChange(const grpc::ServerContextBase& context, LogEvent change) const {
  change.fields.emplace_back("peer", context.peer());
  RequestTags::Of(context).AddTo(change);
  log_(change);
}

}  // namespace qkserve
