#ifndef QKSERVE_CLIENT_QKCTL_LOAD_LOOP_H_
#define QKSERVE_CLIENT_QKCTL_LOAD_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/qkctl/latency_histogram.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace qkserve {

// A closed loop: each of C threads sends a request, waits for its answer, and sends the next. So
// the server sets the pace and at most C requests are in flight; latencies say nothing of a queue
// that more callers would form.

struct LoadCounts {
  LatencyHistogram latency;  // of the requests that were answered OK
  int64_t ok = 0;
  std::map<absl::StatusCode, int64_t> errors_by_code;

  // The error that came first, and when.
  absl::Status first_error;
  absl::Time first_error_time = absl::InfiniteFuture();

  // Sums over the receipts of the ok requests.
  int64_t batch_requests = 0;
  absl::Duration queued;
  absl::Duration computed;

  int64_t Errors() const;
  void Merge(const LoadCounts& other);
};

// Counts of a running load. Thread-safe.
class LoadRecorder {
 public:
  LoadRecorder();

  // `thread` is any number that is 0 or more; threads with different numbers seldom wait for each
  // other.
  void Record(int thread, absl::Time sent, absl::Time answered,
              const absl::StatusOr<Receipt>& answer);

  LoadCounts Snapshot() const;

 private:
  struct Shard {
    mutable Mutex mutex;
    LoadCounts counts ABSL_GUARDED_BY(mutex);
  };

  std::vector<std::unique_ptr<Shard>> shards_;
};

struct LoadOptions {
  int concurrency = 1;
  absl::Duration duration = absl::Seconds(10);
};

// Sends one request of `thread`, from 0 to concurrency - 1, and waits for its answer. Called by all
// threads at the same time.
using SendRequest = std::function<absl::StatusOr<Receipt>(int thread)>;

// Sends until `duration` has passed, though at least one request a thread, or until `stop` is true;
// waits for the answers that are missing then, and returns the time from the first request to the
// last answer.
//
// Also ends where no server answers: when the first `concurrency` requests were all UNAVAILABLE.
// RESOURCE_EXHAUSTED: the system has not so many threads; nothing was sent.
absl::StatusOr<absl::Duration> RunLoad(const LoadOptions& options, const Clock* clock,
                                       const SendRequest& send, const std::atomic<bool>& stop,
                                       LoadRecorder* recorder);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_LOAD_LOOP_H_
