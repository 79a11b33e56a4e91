#ifndef QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
#define QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "grpcpp/server_context.h"
#include "server/admission/responder.h"
#include "server/admission/tenants.h"
#include "server/observe/line_limit.h"
#include "server/observe/request_metrics.h"
#include "server/observe/trace_context.h"

namespace qkserve {

// A call, as its line in the log describes it.
struct CallSummary {
  Method method = Method::kScore;
  absl::Status status = {};
  absl::Duration duration = {};
  ScoreReceipt receipt = {};        // of a score call
  absl::string_view identity = {};  // empty: the caller has none
};

// Logs slow calls and, if asked to, failed calls. Each of the two kinds has a LineLimit. A call
// that is both gets the line of a slow call. Thread-safe.
class CallLog {
 public:
  // A score call is slow if it took at least `slow_threshold`. 0: no call is slow. The clock must
  // outlive this object.
  CallLog(absl::Duration slow_threshold, bool logs_failures, LogSink log, const Clock* clock)
      : slow_threshold_(slow_threshold),
        logs_failures_(logs_failures),
        log_(std::move(log)),
        clock_(*clock) {}

  // True if the call should have a line. If not, the arguments of Log need not be made.
  bool IsLogged(Method method, const absl::Status& status, absl::Duration duration) const {
    return IsSlow(method, duration) || (logs_failures_ && !status.ok());
  }

  // Logs a call for which IsLogged is true, unless its LineLimit is reached.
  void Log(const CallSummary& call, const std::string& peer, const RequestTags& tags);

 private:
  bool IsSlow(Method method, absl::Duration duration) const {
    return method == Method::kScore && slow_threshold_ > absl::ZeroDuration() &&
           duration >= slow_threshold_;
  }

  const absl::Duration slow_threshold_;
  const bool logs_failures_;
  const LogSink log_;
  const Clock& clock_;
  LineLimit slow_lines_;
  LineLimit failure_lines_;
};

// Counts each call in the metrics, and logs some. This happens just before the answer is handed to
// gRPC, so that a client with an answer finds its call counted. Thread-safe.
class CallRecorder {
 public:
  // The pointers must outlive this object. CallLog explains `slow_threshold` and `logs_failures`.
  CallRecorder(RequestMetrics* metrics, absl::Duration slow_threshold, bool logs_failures,
               const LogSink& log, const Clock* clock)
      : metrics_(*metrics),
        calls_(slow_threshold, logs_failures, log, clock),
        log_(log),
        clock_(*clock) {}

  absl::Time Now() const { return clock_.Now(); }
  RequestMetrics& metrics() const { return metrics_; }

  // Counts a score call, in the metrics and for its tenant. Logs it if it was slow or failed.
  // `tenant` is null if it is not known. `response_bytes` is the size of the serialised reply.
  // `identity` is the caller's identity for the log. Empty: the caller has none.
  void RecordScore(const grpc::ServerContextBase& context, Tenant* tenant,
                   const absl::Status& status, absl::Time arrival, const ScoreReceipt& receipt,
                   size_t response_bytes, absl::string_view identity) const;

  // Counts any other call, and logs it if it failed. The call began at `begin`.
  void RecordCall(const grpc::ServerContextBase& context, Method method, const absl::Status& status,
                  absl::Time begin, absl::string_view identity) const;

  // Logs a change of a key set that has taken effect: what happened to the data, and who did it.
  // Such a change is always logged.
  void LogChange(const grpc::ServerContextBase& context, LogEvent change,
                 absl::string_view identity) const;

 private:
  RequestMetrics& metrics_;
  mutable CallLog calls_;
  const LogSink log_;
  const Clock& clock_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
