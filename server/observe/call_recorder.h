#ifndef QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
#define QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "server/admission/responder.h"
#include "server/observe/request_metrics.h"
#include "server/observe/trace_context.h"

namespace qkserve {

// Logs a line for each slow score request, but no more than kLinesMax lines in kPeriod. If all
// requests are slow, logging must not make them slower. The next line says how many were left out.
// Thread-safe.
class SlowRequestLog {
 public:
  static constexpr int64_t kLinesMax = 10;
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  // A request is slow if it took at least `threshold`. 0: no request is slow. The clock must
  // outlive this object.
  SlowRequestLog(absl::Duration threshold, LogSink log, const Clock* clock)
      : threshold_(threshold), log_(std::move(log)), clock_(*clock) {}

  bool IsSlow(absl::Duration duration) const {
    return threshold_ > absl::ZeroDuration() && duration >= threshold_;
  }

  // Logs a call that IsSlow, unless kLinesMax lines were logged in this period.
  void Log(const absl::Status& status, absl::Duration duration, const ScoreReceipt& receipt,
           const std::string& peer, const RequestTags& tags);

 private:
  const absl::Duration threshold_;
  const LogSink log_;
  const Clock& clock_;
  Mutex mutex_;
  absl::Time period_begin_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Tells metrics and log about each call, just before its answer is handed to gRPC. So a client that
// has the answer finds it counted. Thread-safe.
class CallRecorder {
 public:
  // The pointers must outlive this object. SlowRequestLog tells the meaning of `slow_threshold`.
  CallRecorder(RequestMetrics* metrics, absl::Duration slow_threshold, const LogSink& log,
               const Clock* clock)
      : metrics_(*metrics), slow_requests_(slow_threshold, log, clock), log_(log), clock_(*clock) {}

  absl::Time Now() const { return clock_.Now(); }
  RequestMetrics& metrics() const { return metrics_; }

  // Counts a score call, and logs it if it was slow. `response_bytes` is the size of its reply on
  // the wire.
  void RecordScore(const grpc::ServerContextBase& context, const absl::Status& status,
                   absl::Time arrival, const ScoreReceipt& receipt, size_t response_bytes) const;

  // Counts any other call. It began at `begin`.
  void RecordCall(Method method, const absl::Status& status, absl::Time begin) const;

  // Logs a change of a key set that has taken effect: what happened to the data, and who did it.
  // Such a change is always logged.
  void LogChange(const grpc::ServerContextBase& context, LogEvent change) const;

 private:
  RequestMetrics& metrics_;
  mutable SlowRequestLog slow_requests_;
  const LogSink log_;
  const Clock& clock_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
