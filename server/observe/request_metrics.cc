#include "server/observe/request_metrics.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/limit_error.h"
#include "server/access/permitted_key_sets.h"

namespace qkserve {
namespace {

void Add(int64_t& counter, int64_t value) {
  std::atomic_ref(counter).fetch_add(value, std::memory_order_relaxed);
}

template <size_t N>
void Observe(RequestMetrics::Histogram<N>& histogram, const std::array<int64_t, N>& bounds,
             int64_t value) {
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
  Add(histogram.counts[static_cast<size_t>(bucket)], 1);
  Add(histogram.sum, value);
}

void Observe(RequestMetrics::TimeHistogram& histogram, absl::Duration time) {
  Observe(histogram, kTimeBounds, std::max(absl::ToInt64Nanoseconds(time), int64_t{0}));
}

void AddTo(int64_t& counter, int64_t& sum) {
  sum += std::atomic_ref(counter).load(std::memory_order_relaxed);
}

template <size_t N>
void AddTo(RequestMetrics::Histogram<N>& histogram, RequestMetrics::Histogram<N>& sum) {
  for (size_t i = 0; i < histogram.counts.size(); ++i) AddTo(histogram.counts[i], sum.counts[i]);
  AddTo(histogram.sum, sum.sum);
}

template <class T, size_t N>
void AddTo(std::array<T, N>& counters, std::array<T, N>& sums) {
  for (size_t i = 0; i < N; ++i) AddTo(counters[i], sums[i]);
}

}  // namespace

RequestMetrics::Counts& RequestMetrics::MyShard() {
  static std::atomic<size_t> threads{0};
  thread_local const size_t shard = threads.fetch_add(1, std::memory_order_relaxed) % kShards;
  return (*shards_)[shard].counts;
}

void RequestMetrics::CountCall(Method method, absl::StatusCode code, absl::Duration duration) {
  Counts& shard = MyShard();
  const auto row = static_cast<size_t>(method);
  Add(shard.calls[row][std::min(static_cast<size_t>(code), kStatusCodes - 1)], 1);
  Observe(shard.durations[row], duration);
  if (method == Method::kScore && code == absl::StatusCode::kOk) Observe(shard.answered, duration);
}

void RequestMetrics::CountRefusal(Refusal refusal) {
  if (refusal != Refusal::kNone) Add(MyShard().refusals[static_cast<size_t>(refusal)], 1);
}

void RequestMetrics::CountTimes(const JobReceipt& receipt) {
  Counts& shard = MyShard();
  Observe(shard.queued, receipt.queued);
  Observe(shard.computed, receipt.computed);
}

void RequestMetrics::CountBatch(int64_t requests, int64_t rows) {
  Counts& shard = MyShard();
  Observe(shard.batch_requests, kBatchRequestsBounds, requests);
  Observe(shard.batch_rows, kBatchRowsBounds, rows);
}

void RequestMetrics::CountReceived(size_t bytes) {
  Add(MyShard().received_bytes, static_cast<int64_t>(bytes));
}

void RequestMetrics::CountSent(size_t bytes) {
  Add(MyShard().sent_bytes, static_cast<int64_t>(bytes));
}

RequestMetrics::Counts RequestMetrics::Read() const {
  Counts sum;
  for (Shard& shard : *shards_) {
    Counts& counts = shard.counts;
    AddTo(counts.calls, sum.calls);
    AddTo(counts.refusals, sum.refusals);
    AddTo(counts.durations, sum.durations);
    AddTo(counts.answered, sum.answered);
    AddTo(counts.queued, sum.queued);
    AddTo(counts.computed, sum.computed);
    AddTo(counts.batch_requests, sum.batch_requests);
    AddTo(counts.batch_rows, sum.batch_rows);
    AddTo(counts.received_bytes, sum.received_bytes);
    AddTo(counts.sent_bytes, sum.sent_bytes);
  }
  return sum;
}

Refusal RefusalOf(const absl::Status& status) {
  constexpr std::pair<absl::string_view, Refusal> kByLimit[] = {
      {"queue_requests_max", Refusal::kQueueRequests},
      {"queue_time_max", Refusal::kQueueTime},
      {"deadline", Refusal::kQueueDeadline},
      {"tenant_quota_file", Refusal::kTenantQuota},
      {"in_flight_bytes_max", Refusal::kInFlightBytes},
      {"key_set_memory", Refusal::kKeySetMemory}};
  constexpr std::pair<absl::StatusCode, Refusal> kByCode[] = {
      {absl::StatusCode::kInvalidArgument, Refusal::kInvalid},
      {absl::StatusCode::kUnimplemented, Refusal::kInvalid},  // bytes that are no request
      {absl::StatusCode::kNotFound, Refusal::kNotFound},
      {absl::StatusCode::kFailedPrecondition, Refusal::kPrecondition},
      {absl::StatusCode::kDataLoss, Refusal::kDataLoss},
      {absl::StatusCode::kUnauthenticated, Refusal::kUnauthenticated},
      {absl::StatusCode::kPermissionDenied, Refusal::kPermission},
      {absl::StatusCode::kUnavailable, Refusal::kDraining},
      {absl::StatusCode::kDeadlineExceeded, Refusal::kDeadline},
      {absl::StatusCode::kResourceExhausted, Refusal::kLimit}};
  if (IsHidden(status)) return Refusal::kHidden;
  const std::string limit = LimitOf(status);
  for (const auto& [name, refusal] : kByLimit) {
    if (name == limit) return refusal;
  }
  for (const auto& [code, refusal] : kByCode) {
    if (code == status.code()) return refusal;
  }
  return Refusal::kNone;
}

}  // namespace qkserve
