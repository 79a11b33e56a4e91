#include "server/observe/request_metrics.h"

#include <algorithm>
#include <string>

#include "base/limit_error.h"

namespace qkserve {
namespace {

using Counter = std::atomic<int64_t>;

void Add(Counter& counter, int64_t value) { counter.fetch_add(value, std::memory_order_relaxed); }

int64_t Value(const Counter& counter) { return counter.load(std::memory_order_relaxed); }

template <size_t N>
struct Histogram {
  std::array<Counter, N + 1> counts = {};
  Counter sum{0};

  void Observe(const std::array<int64_t, N>& bounds, int64_t value) {
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
    Add(counts[static_cast<size_t>(bucket)], 1);
    Add(sum, value);
  }

  void AddTo(RequestMetrics::HistogramSum<N>& out) const {
    for (size_t i = 0; i < counts.size(); ++i) out.counts[i] += Value(counts[i]);
    out.sum += Value(sum);
  }
};

void Observe(Histogram<kTimeBounds.size()>& histogram, absl::Duration time) {
  histogram.Observe(kTimeBounds, std::max(absl::ToInt64Nanoseconds(time), int64_t{0}));
}

}  // namespace

// A cache line of its own at both ends; prefetchers fetch lines in pairs.
struct alignas(128) RequestMetrics::Shard {
  std::array<std::array<Counter, kStatusCodes>, kMethodNames.size()> calls = {};
  std::array<Counter, kRefusalNames.size()> refusals = {};
  std::array<Histogram<kTimeBounds.size()>, kMethodNames.size()> durations;
  Histogram<kTimeBounds.size()> queued, computed;
  Histogram<kBatchRequestsBounds.size()> batch_requests;
  Histogram<kBatchRowsBounds.size()> batch_rows;
  Counter received_bytes{0};
  Counter sent_bytes{0};
};

RequestMetrics::RequestMetrics() : shards_(std::make_unique<std::array<Shard, kShards>>()) {}

RequestMetrics::~RequestMetrics() = default;

RequestMetrics::Shard& RequestMetrics::MyShard() {
  static std::atomic<size_t> threads{0};
  thread_local const size_t shard = threads.fetch_add(1, std::memory_order_relaxed) % kShards;
  return (*shards_)[shard];
}

void RequestMetrics::CountCall(Method method, absl::StatusCode code, absl::Duration duration) {
  Shard& shard = MyShard();
  const auto row = static_cast<size_t>(method);
  Add(shard.calls[row][std::min(static_cast<size_t>(code), kStatusCodes - 1)], 1);
  Observe(shard.durations[row], duration);
}

void RequestMetrics::CountRefusal(Refusal refusal) {
  if (refusal != Refusal::kNone) Add(MyShard().refusals[static_cast<size_t>(refusal)], 1);
}

void RequestMetrics::CountTimes(const JobReceipt& receipt) {
  Shard& shard = MyShard();
  Observe(shard.queued, receipt.queued);
  Observe(shard.computed, receipt.computed);
}

void RequestMetrics::CountBatch(int64_t requests, int64_t rows) {
  Shard& shard = MyShard();
  shard.batch_requests.Observe(kBatchRequestsBounds, requests);
  shard.batch_rows.Observe(kBatchRowsBounds, rows);
}

void RequestMetrics::CountReceived(size_t bytes) {
  Add(MyShard().received_bytes, static_cast<int64_t>(bytes));
}

void RequestMetrics::CountSent(size_t bytes) {
  Add(MyShard().sent_bytes, static_cast<int64_t>(bytes));
}

RequestMetrics::Snapshot RequestMetrics::Read() const {
  Snapshot sum;
  for (const Shard& shard : *shards_) {
    for (size_t method = 0; method < kMethodNames.size(); ++method) {
      for (size_t code = 0; code < kStatusCodes; ++code) {
        sum.calls[method][code] += Value(shard.calls[method][code]);
      }
      shard.durations[method].AddTo(sum.durations[method]);
    }
    for (size_t i = 0; i < kRefusalNames.size(); ++i) sum.refusals[i] += Value(shard.refusals[i]);
    shard.queued.AddTo(sum.queued);
    shard.computed.AddTo(sum.computed);
    shard.batch_requests.AddTo(sum.batch_requests);
    shard.batch_rows.AddTo(sum.batch_rows);
    sum.received_bytes += Value(shard.received_bytes);
    sum.sent_bytes += Value(shard.sent_bytes);
  }
  return sum;
}

Refusal RefusalOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:  // bytes that are no request
      return Refusal::kInvalid;
    case absl::StatusCode::kNotFound:
      return Refusal::kNotFound;
    case absl::StatusCode::kFailedPrecondition:
      return Refusal::kPrecondition;
    case absl::StatusCode::kDataLoss:
      return Refusal::kDataLoss;
    case absl::StatusCode::kUnavailable:
      return Refusal::kDraining;
    case absl::StatusCode::kDeadlineExceeded:
      return Refusal::kDeadline;
    case absl::StatusCode::kResourceExhausted:
      break;
    default:
      return Refusal::kNone;
  }
  const std::string limit = LimitOf(status);
  if (limit == "queue_requests_max") return Refusal::kQueueRequests;
  if (limit == "queue_time_max") return Refusal::kQueueTime;
  if (limit == "deadline") return Refusal::kQueueDeadline;
  if (limit == "in_flight_bytes_max") return Refusal::kInFlightBytes;
  if (limit == "key_set_memory") return Refusal::kKeySetMemory;
  return Refusal::kLimit;
}

}  // namespace qkserve
