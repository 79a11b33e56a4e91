#ifndef QKSERVE_TOOLS_LOAD_LOAD_COUNTS_H_
#define QKSERVE_TOOLS_LOAD_LOAD_COUNTS_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "qkserve/client.h"
#include "tools/load/latency_histogram.h"

namespace qkserve {

// The number of classes of batch sizes: 1 request, 2-3 requests, 4-7 requests and so on.
inline constexpr int kBatchSizeClasses = 12;

// A finished request. Times count from the start of the load.
struct LoadAnswer {
  absl::Duration intended;  // in a closed loop the same as `sent`
  absl::Duration sent;
  absl::Duration answered;
  absl::Status status;
  Receipt receipt;  // set if `status` is OK
  int attempts = 1;
  bool is_over_budget = false;  // it failed because the budget of retries was spent
  bool is_unanswered = false;   // this client's clock ended it, and the server said nothing
};

// Requests that failed with one code.
struct LoadErrors {
  int64_t count = 0;
  std::string first_message;
  absl::Duration first_time = absl::InfiniteDuration();

  // Adds the counts of `other`. Keeps the earlier one of the two first messages.
  void Add(const LoadErrors& other);
};

// Results of a load's requests. Only requests whose intended time is in the measured time count.
struct LoadCounts {
  int64_t sent = 0;
  int64_t late = 0;  // requests sent more than kLateSend after their intended time
  absl::Duration delay_max;
  int64_t unsent = 0;       // due and never sent; known at the end
  int64_t unsent_full = 0;  // unsent because too many requests were in flight
  int64_t abandoned = 0;    // cancelled because the load ended early

  int64_t ok = 0;
  int64_t good = 0;          // OK, with a response time of at most the timeout
  int64_t within_limit = 0;  // OK, with a response time of at most LoadLimits::latency
  LatencyHistogram response, service, queued, computed;  // times of the ok requests
  LatencyHistogram refused;  // response times of the requests that ended with RESOURCE_EXHAUSTED
  // The batches of the ok requests. A request in a batch of N counts as 1/N of a batch, so a batch
  // that was shared with other clients counts in part.
  double batches = 0;
  std::array<int64_t, kBatchSizeClasses> batch_sizes = {};

  std::map<absl::StatusCode, LoadErrors> errors_by_code;
  int64_t unanswered = 0;  // errors because this client's clock ran out and the server said nothing

  int64_t retries = 0;      // attempts after the first one of each request
  int64_t recovered = 0;    // requests that a retry made succeed
  int64_t over_budget = 0;  // requests that failed because the budget of retries was spent

  // Returns how many requests were due within the measured time.
  int64_t Due() const { return sent + unsent; }
  // True if at least half of the unsent requests were not sent because too many were in flight.
  bool ServerWasBehind() const { return unsent > 0 && 2 * unsent_full >= unsent; }
  int64_t Errors() const;
  absl::Status FirstError() const;  // OK if there was none
  void Merge(const LoadCounts& other);

  // Returns the counts since `earlier`, which is an older copy of this object. First errors and
  // maxima are those of the whole time.
  LoadCounts Since(const LoadCounts& earlier) const;
};

// A request that is sent more than this after its intended time counts as late.
inline constexpr absl::Duration kLateSend = absl::Milliseconds(1);

struct LoadLimits {
  absl::Duration timeout = absl::InfiniteDuration();  // limit of `good`
  absl::Duration latency = absl::InfiniteDuration();  // limit of `within_limit`
};

// Counts of a running load. Thread-safe. Each sender has its own counts, so senders do not wait for
// each other.
class LoadRecorder {
 public:
  LoadRecorder(int senders, const LoadLimits& limits);

  // `sender` counts from 0. `delay` is the time from the intended to the actual send.
  void RecordSend(int sender, absl::Duration delay);
  void RecordAnswer(int sender, const LoadAnswer& answer);
  // Counts requests that were due and never sent. `is_full` is true if too many were in flight.
  void RecordUnsent(int sender, int64_t count, bool is_full);
  void RecordAbandoned(int sender);

  // Returns the sum of all counts so far.
  LoadCounts Snapshot() const;

 private:
  struct Shard {
    mutable Mutex mutex;
    LoadCounts counts ABSL_GUARDED_BY(mutex);
  };

  const LoadLimits limits_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_LOAD_COUNTS_H_
