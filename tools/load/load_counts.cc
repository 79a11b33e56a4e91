#include "tools/load/load_counts.h"

#include <algorithm>
#include <bit>

namespace qkserve {
namespace {

constexpr int64_t LoadCounts::*kCounts[] = {
    &LoadCounts::sent,        &LoadCounts::late,         &LoadCounts::unsent,
    &LoadCounts::unsent_full, &LoadCounts::abandoned,    &LoadCounts::ok,
    &LoadCounts::good,        &LoadCounts::within_limit, &LoadCounts::retries,
    &LoadCounts::recovered,   &LoadCounts::over_budget,  &LoadCounts::unanswered};
constexpr LatencyHistogram LoadCounts::*kHistograms[] = {
    &LoadCounts::response, &LoadCounts::service, &LoadCounts::queued, &LoadCounts::computed,
    &LoadCounts::refused};

int BatchSizeClass(int64_t size) {
  return std::min(static_cast<int>(std::bit_width(static_cast<uint64_t>(size))) - 1,
                  kBatchSizeClasses - 1);
}

}  // namespace

void LoadErrors::Add(const LoadErrors& other) {
  count += other.count;
  if (other.first_time >= first_time) return;
  first_time = other.first_time;
  first_message = other.first_message;
}

int64_t LoadCounts::Errors() const {
  int64_t sum = 0;
  for (const auto& [code, errors] : errors_by_code) sum += errors.count;
  return sum;
}

absl::Status LoadCounts::FirstError() const {
  const auto first = std::min_element(
      errors_by_code.begin(), errors_by_code.end(),
      [](const auto& a, const auto& b) { return a.second.first_time < b.second.first_time; });
  if (first == errors_by_code.end()) return absl::OkStatus();
  return absl::Status(first->first, first->second.first_message);
}

void LoadCounts::Merge(const LoadCounts& other) {
  for (const auto count : kCounts) this->*count += other.*count;
  for (const auto histogram : kHistograms) (this->*histogram).Merge(other.*histogram);
  batches += other.batches;
  for (size_t i = 0; i < batch_sizes.size(); ++i) batch_sizes[i] += other.batch_sizes[i];
  for (const auto& [code, errors] : other.errors_by_code) errors_by_code[code].Add(errors);
  delay_max = std::max(delay_max, other.delay_max);
}

LoadCounts LoadCounts::Since(const LoadCounts& earlier) const {
  LoadCounts rest = *this;
  for (const auto count : kCounts) rest.*count -= earlier.*count;
  for (const auto histogram : kHistograms) {
    rest.*histogram = (this->*histogram).Since(earlier.*histogram);
  }
  rest.batches -= earlier.batches;
  for (size_t i = 0; i < batch_sizes.size(); ++i) rest.batch_sizes[i] -= earlier.batch_sizes[i];
  for (const auto& [code, errors] : earlier.errors_by_code) {
    rest.errors_by_code[code].count -= errors.count;
  }
  return rest;
}

LoadRecorder::LoadRecorder(int senders, const LoadLimits& limits) : limits_(limits) {
  for (int i = 0; i < senders; ++i) shards_.push_back(std::make_unique<Shard>());
}

void LoadRecorder::RecordSend(int sender, absl::Duration delay) {
  Shard& shard = *shards_[sender];
  MutexLock lock(&shard.mutex);
  ++shard.counts.sent;
  if (delay > kLateSend) ++shard.counts.late;
  shard.counts.delay_max = std::max(shard.counts.delay_max, delay);
}

void LoadRecorder::RecordAnswer(int sender, const LoadAnswer& answer) {
  Shard& shard = *shards_[sender];
  MutexLock lock(&shard.mutex);
  LoadCounts& counts = shard.counts;
  const absl::Duration response = answer.answered - answer.intended;
  counts.retries += answer.attempts - 1;
  if (answer.is_over_budget) ++counts.over_budget;
  if (answer.is_unanswered) ++counts.unanswered;
  if (!answer.status.ok()) {
    if (absl::IsResourceExhausted(answer.status)) counts.refused.Record(response);
    counts.errors_by_code[answer.status.code()].Add(
        {1, std::string(answer.status.message()), answer.answered});
    return;
  }
  ++counts.ok;
  if (answer.attempts > 1) ++counts.recovered;
  if (response <= limits_.timeout) ++counts.good;
  if (response <= limits_.latency) ++counts.within_limit;
  counts.response.Record(response);
  counts.service.Record(answer.answered - answer.sent);
  counts.queued.Record(answer.receipt.queued);
  counts.computed.Record(answer.receipt.computed);
  // Another implementation of the server may leave the receipt out.
  const int64_t batch_size = std::max<int64_t>(1, answer.receipt.batch_requests);
  counts.batches += 1 / static_cast<double>(batch_size);
  ++counts.batch_sizes[BatchSizeClass(batch_size)];
}

void LoadRecorder::RecordUnsent(int sender, int64_t count, bool is_full) {
  Shard& shard = *shards_[sender];
  MutexLock lock(&shard.mutex);
  shard.counts.unsent += count;
  if (is_full) shard.counts.unsent_full += count;
}

void LoadRecorder::RecordAbandoned(int sender) {
  Shard& shard = *shards_[sender];
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
