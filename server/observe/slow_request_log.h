#ifndef QKSERVE_SERVER_OBSERVE_SLOW_REQUEST_LOG_H_
#define QKSERVE_SERVER_OBSERVE_SLOW_REQUEST_LOG_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/batching/job.h"
#include "server/observe/trace_context.h"

namespace qkserve {

// A line for each request that took long, and no more than kLinesMax of them in kPeriod: where all
// requests are slow, saying so must not make them slower. What was left out is counted in the next
// line. Thread-safe.
class SlowRequestLog {
 public:
  static constexpr int64_t kLinesMax = 10;
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  // Requests of `threshold` and more; 0: none. The clock must outlive it.
  SlowRequestLog(absl::Duration threshold, LogSink log, const Clock* clock);

  bool IsSlow(absl::Duration duration) const {
    return threshold_ > absl::ZeroDuration() && duration >= threshold_;
  }

  struct Request {
    const char* method = "";
    absl::Status status = {};
    absl::Duration duration = absl::ZeroDuration();
    JobReceipt receipt = {};
    int64_t rows = 0;
    std::string key_set = {};  // "": inline keys
    std::string peer = {};
    RequestTags tags = {};
  };
  void Log(const Request& request);

 private:
  // True if a line may be written now; sets how many were left out since the last one.
  bool Allow(int64_t* left_out);

  const absl::Duration threshold_;
  const LogSink log_;
  const Clock& clock_;
  Mutex mutex_;
  absl::Time period_begin_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_SLOW_REQUEST_LOG_H_
