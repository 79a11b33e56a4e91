#include "server/observe/call_recorder.h"

namespace qkserve {

namespace {

// Returns INFO for the caller's fault or wish, WARNING for a lack of resources or time, and ERROR
// for the server's fault.
LogLevel LevelOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return LogLevel::kError;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnavailable:
      return LogLevel::kWarning;
    default:
      return LogLevel::kInfo;
  }
}

TenantOutcome OutcomeOf(const absl::Status& status, Refusal refusal) {
  if (status.ok()) return TenantOutcome::kOk;
  if (refusal == Refusal::kTenantQuota) return TenantOutcome::kQuota;
  return refusal != Refusal::kNone ? TenantOutcome::kRefused : TenantOutcome::kFailed;
}

}  // namespace

void CallLog::Log(const CallSummary& call, const std::string& peer, const RequestTags& tags) {
  const bool is_slow = IsSlow(call.method, call.duration);
  const std::optional<int64_t> left_out =
      (is_slow ? slow_lines_ : failure_lines_).Take(clock_.Now());
  if (!left_out.has_value()) return;
  const auto ms = [](absl::Duration time) { return absl::ToDoubleMilliseconds(time); };
  LogEvent event = {is_slow ? LogLevel::kWarning : LevelOf(call.status.code()),
                    is_slow ? "slow request" : "failed request",
                    {{"method", kMethodNames[static_cast<size_t>(call.method)]},
                     {"code", absl::StatusCodeToString(call.status.code())},
                     {"duration_ms", ms(call.duration)}}};
  const ScoreReceipt& receipt = call.receipt;
  const auto add = [&event](const char* name, LogValue value) {
    event.fields.emplace_back(name, std::move(value));
  };
  if (is_slow) {
    add("queued_ms", ms(receipt.job.queued));
    add("computed_ms", ms(receipt.job.computed));
    add("batch_requests", receipt.job.batch_requests);
    add("rows", receipt.rows);
  }
  add("peer", peer);
  if (!call.identity.empty()) add("identity", std::string(call.identity));
  if (receipt.key_set != nullptr) add("key_set", receipt.key_set->name());
  if (!call.status.ok()) add("error", std::string(call.status.message()));
  tags.AddTo(event);
  if (*left_out > 0) add("left_out", *left_out);
  log_(event);
}

void CallRecorder::RecordScore(const grpc::ServerContextBase& context, Tenant* tenant,
                               const absl::Status& status, absl::Time arrival,
                               const ScoreReceipt& receipt, size_t response_bytes,
                               absl::string_view identity) const {
  const absl::Duration duration = clock_.Now() - arrival;
  metrics_.CountCall(Method::kScore, status.code(), duration);
  const bool was_begun = receipt.job.computed > absl::ZeroDuration();
  const Refusal refusal = status.ok() || was_begun ? Refusal::kNone : RefusalOf(status);
  if (tenant != nullptr) tenant->Count(OutcomeOf(status, refusal), receipt.job);
  if (status.ok()) {
    metrics_.CountTimes(receipt.job);
    metrics_.CountSent(response_bytes);
  } else {
    metrics_.CountRefusal(refusal);
  }
  if (!calls_.IsLogged(Method::kScore, status, duration)) return;
  calls_.Log({.status = status, .duration = duration, .receipt = receipt, .identity = identity},
             context.peer(), RequestTags::Of(context));
}

void CallRecorder::RecordCall(const grpc::ServerContextBase& context, Method method,
                              const absl::Status& status, absl::Time begin,
                              absl::string_view identity) const {
  const absl::Duration duration = clock_.Now() - begin;
  metrics_.CountCall(method, status.code(), duration);
  // A deadline is not a refusal here, because it ends an upload under way.
  if (!absl::IsDeadlineExceeded(status)) metrics_.CountRefusal(RefusalOf(status));
  if (!calls_.IsLogged(method, status, duration)) return;
  calls_.Log({.method = method, .status = status, .duration = duration, .identity = identity},
             context.peer(), RequestTags::Of(context));
}

void CallRecorder::LogChange(const grpc::ServerContextBase& context, LogEvent change,
                             absl::string_view identity) const {
  change.fields.emplace_back("peer", context.peer());
  if (!identity.empty()) change.fields.emplace_back("identity", std::string(identity));
  RequestTags::Of(context).AddTo(change);
  log_(change);
}

}  // namespace qkserve
