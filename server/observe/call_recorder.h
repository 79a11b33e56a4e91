#ifndef QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
#define QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set.h"
#include "grpcpp/server_context.h"
#include "server/observe/request_metrics.h"
#include "server/observe/slow_request_log.h"

namespace qkserve {

// Tells metrics and log of each call, just before its answer is handed to gRPC: a client that has
// the answer finds it counted. Thread-safe.
class CallRecorder {
 public:
  // The pointers must outlive it.
  CallRecorder(RequestMetrics* metrics, SlowRequestLog* slow_requests, LogSink log,
               const Clock* clock)
      : metrics_(*metrics), slow_requests_(*slow_requests), log_(std::move(log)), clock_(*clock) {}

  absl::Time Now() const { return clock_.Now(); }
  RequestMetrics& metrics() const { return metrics_; }

  struct Score {
    absl::Time arrival;
    JobReceipt receipt = {};
    int64_t rows = 0;
    const KeySet* key_set = nullptr;  // null: inline keys, or none found
    size_t response_bytes = 0;
  };
  void RecordScore(const grpc::ServerContextBase& context, const absl::Status& status,
                   const Score& score) const;

  // Any other call that began at `begin`.
  void RecordCall(Method method, const absl::Status& status, absl::Time begin) const;

  // A key set has changed, to stay. Always a line: what happened to the data, and who did it.
  void LogChange(const grpc::ServerContextBase& context, LogEvent change) const;

 private:
  RequestMetrics& metrics_;
  SlowRequestLog& slow_requests_;
  const LogSink log_;
  const Clock& clock_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_CALL_RECORDER_H_
