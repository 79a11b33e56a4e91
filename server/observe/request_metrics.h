#ifndef QKSERVE_SERVER_OBSERVE_REQUEST_METRICS_H_
#define QKSERVE_SERVER_OBSERVE_REQUEST_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/job.h"

namespace qkserve {

// The RPCs whose calls are counted. kUnknown stands for all methods that the server does not have.
enum class Method {
  kScore,
  kPutKeySet,
  kAppendKeySet,
  kGetKeySet,
  kListKeySets,
  kDeleteKeySet,
  kGetStatus,
  kUnknown
};
inline constexpr std::array kMethodNames = {"Score",     "PutKeySet",   "AppendKeySet",
                                            "GetKeySet", "ListKeySets", "DeleteKeySet",
                                            "GetStatus", "unknown"};

// The reason why a call was turned away before any of its work was done.
enum class Refusal {
  kQueueRequests,
  kQueueTime,
  kQueueDeadline,
  kDeadline,
  kTenantQuota,
  kInFlightBytes,
  kKeySetMemory,
  kLimit,
  kDraining,
  kInvalid,
  kNotFound,
  kPrecondition,
  kDataLoss,
  kUnauthenticated,
  kPermission,
  kHidden,
  kNone
};
inline constexpr std::array kRefusalNames = {
    "queue_requests", "queue_time",      "queue_deadline", "deadline",
    "tenant_quota",   "in_flight_bytes", "key_set_memory", "limit",
    "draining",       "invalid",         "not_found",      "precondition",
    "data_loss",      "unauthenticated", "permission",     "hidden"};

// Returns the reason that `status` tells for a call of which no work was done. kNone: the status is
// OK, CANCELLED, INTERNAL or the like.
Refusal RefusalOf(const absl::Status& status);

inline constexpr size_t kStatusCodes = 17;

// Upper bounds of histogram buckets. A last bucket has no bound. Times are in nanoseconds: 10 us to
// 30 s.
inline constexpr std::array<int64_t, 20> kTimeBounds = {
    10'000,        25'000,        50'000,        100'000,        250'000,
    500'000,       1'000'000,     2'500'000,     5'000'000,      10'000'000,
    25'000'000,    50'000'000,    100'000'000,   250'000'000,    500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 30'000'000'000};
inline constexpr std::array<int64_t, 9> kBatchRequestsBounds = {1, 2, 4, 8, 16, 32, 64, 128, 256};
inline constexpr std::array<int64_t, 10> kBatchRowsBounds = {1,    4,    16,    64,    256,
                                                             1024, 4096, 16384, 65536, 262144};

// Counts of the request path. They are relaxed atomics, sharded by thread. A request costs only
// some additions in cache lines that other threads hardly use. A scrape sums the shards. It may see
// a request in one count and not yet in another.
//
// Thread-safe.
class RequestMetrics {
 public:
  // Counts a call that was answered. `duration` is the time since the whole request had arrived, or
  // since an upload began.
  void CountCall(Method method, absl::StatusCode code, absl::Duration duration);
  void CountRefusal(Refusal refusal);
  // Counts the times of a request that was answered with OK.
  void CountTimes(const JobReceipt& receipt);
  // Counts a batch: the requests and rows that a group, pass or large job answered together.
  void CountBatch(int64_t requests, int64_t rows);
  // These functions count the bytes of messages, without compression.
  void CountReceived(size_t bytes);
  void CountSent(size_t bytes);

  template <size_t N>
  struct Histogram {
    std::array<int64_t, N + 1> counts = {};  // count of each bucket; not cumulative
    int64_t sum = 0;
  };
  using TimeHistogram = Histogram<kTimeBounds.size()>;

  struct Counts {
    std::array<std::array<int64_t, kStatusCodes>, kMethodNames.size()> calls = {};
    std::array<int64_t, kRefusalNames.size()> refusals = {};
    std::array<TimeHistogram, kMethodNames.size()> durations = {};
    // Durations of the Score calls that were answered with OK. Under overload, a quantile over all
    // calls says nothing about the answers, because refused calls are much faster.
    TimeHistogram answered;
    TimeHistogram queued, computed;
    Histogram<kBatchRequestsBounds.size()> batch_requests;
    Histogram<kBatchRowsBounds.size()> batch_rows;
    int64_t received_bytes = 0;
    int64_t sent_bytes = 0;
  };
  // Returns the sums of all shards.
  Counts Read() const;

 private:
  // The alignment keeps shards from sharing cache lines. The alignment is two lines, because
  // prefetchers fetch lines in pairs.
  struct alignas(128) Shard {
    Counts counts;  // only atomics access it
  };
  static constexpr size_t kShards = 16;

  Counts& MyShard();

  const std::unique_ptr<std::array<Shard, kShards>> shards_ =
      std::make_unique<std::array<Shard, kShards>>();
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_REQUEST_METRICS_H_
