#include "client/load/load_counts.h"

#include <algorithm>
#include <bit>

namespace qkserve {

int BatchSizeClass(int64_t batch_requests) {
  const auto size = static_cast<uint64_t>(std::max<int64_t>(1, batch_requests));
  return std::min(static_cast<int>(std::bit_width(size)) - 1, kBatchSizeClasses - 1);
}

int64_t LoadCounts::Errors() const {
  int64_t errors = 0;
  for (const auto& [code, count] : errors_by_code) errors += count;
  return errors;
}

void LoadCounts::Merge(const LoadCounts& other) {
  sent += other.sent;
  late += other.late;
  delay_max = std::max(delay_max, other.delay_max);
  unsent += other.unsent;
  in_flight_full += other.in_flight_full;
  abandoned += other.abandoned;
  ok += other.ok;
  good += other.good;
  within_limit += other.within_limit;
  response.Merge(other.response);
  service.Merge(other.service);
  queued.Merge(other.queued);
  computed.Merge(other.computed);
  batch_requests += other.batch_requests;
  for (size_t i = 0; i < batch_sizes.size(); ++i) batch_sizes[i] += other.batch_sizes[i];
  for (const auto& [code, count] : other.errors_by_code) errors_by_code[code] += count;
  if (other.first_error_time < first_error_time) {
    first_error = other.first_error;
    first_error_time = other.first_error_time;
  }
  last_answer = std::max(last_answer, other.last_answer);
}

LoadCounts LoadCounts::Since(const LoadCounts& earlier) const {
  LoadCounts rest = *this;
  rest.sent -= earlier.sent;
  rest.late -= earlier.late;
  rest.unsent -= earlier.unsent;
  rest.in_flight_full -= earlier.in_flight_full;
  rest.abandoned -= earlier.abandoned;
  rest.ok -= earlier.ok;
  rest.good -= earlier.good;
  rest.within_limit -= earlier.within_limit;
  rest.response = response.Since(earlier.response);
  rest.service = service.Since(earlier.service);
  rest.queued = queued.Since(earlier.queued);
  rest.computed = computed.Since(earlier.computed);
  rest.batch_requests -= earlier.batch_requests;
  for (size_t i = 0; i < batch_sizes.size(); ++i) rest.batch_sizes[i] -= earlier.batch_sizes[i];
  for (const auto& [code, count] : earlier.errors_by_code) rest.errors_by_code[code] -= count;
  return rest;
}

LoadRecorder::LoadRecorder(int lanes, const LoadLimits& limits) : limits_(limits) {
  for (int i = 0; i < lanes; ++i) shards_.push_back(std::make_unique<Shard>());
}

void LoadRecorder::RecordSend(int lane, absl::Duration delay) {
  Shard& shard = *shards_[lane];
  MutexLock lock(&shard.mutex);
  ++shard.counts.sent;
  if (delay > kLateSend) ++shard.counts.late;
  shard.counts.delay_max = std::max(shard.counts.delay_max, delay);
}

void LoadRecorder::RecordAnswer(int lane, const LoadAnswer& answer) {
  Shard& shard = *shards_[lane];
  MutexLock lock(&shard.mutex);
  LoadCounts& counts = shard.counts;
  counts.last_answer = std::max(counts.last_answer, answer.answered);
  if (!answer.status.ok()) {
    ++counts.errors_by_code[answer.status.code()];
    if (answer.answered < counts.first_error_time) {
      counts.first_error = answer.status;
      counts.first_error_time = answer.answered;
    }
    return;
  }
  const absl::Duration response = answer.answered - answer.intended;
  ++counts.ok;
  if (response <= limits_.timeout) ++counts.good;
  if (response <= limits_.latency) ++counts.within_limit;
  counts.response.Record(response);
  counts.service.Record(answer.answered - answer.sent);
  counts.queued.Record(answer.receipt.queued);
  counts.computed.Record(answer.receipt.computed);
  counts.batch_requests += answer.receipt.batch_requests;
  ++counts.batch_sizes[BatchSizeClass(answer.receipt.batch_requests)];
}

void LoadRecorder::RecordUnsent(int lane, int64_t count) {
  Shard& shard = *shards_[lane];
  MutexLock lock(&shard.mutex);
  shard.counts.unsent += count;
}

void LoadRecorder::RecordFull(int lane) {
  Shard& shard = *shards_[lane];
  MutexLock lock(&shard.mutex);
  ++shard.counts.in_flight_full;
}

void LoadRecorder::RecordAbandoned(int lane) {
  Shard& shard = *shards_[lane];
  MutexLock lock(&shard.mutex);
  ++shard.counts.abandoned;
}

LoadCounts LoadRecorder::Snapshot() const {
  LoadCounts counts;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(&shard->mutex);
    counts.Merge(shard->counts);
  }
  return counts;
}

}  // namespace qkserve
