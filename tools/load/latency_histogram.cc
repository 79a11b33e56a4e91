#include "tools/load/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qkserve {
namespace {

constexpr int kStepBits = 9;
constexpr int64_t kSteps = int64_t{1} << kStepBits;

// Returns by how many bits a value is shifted right, so that at most kStepBits + 1 bits are left.
// Values below 1024 are not shifted and stay exact.
constexpr int Shift(int64_t value_ns) {
  return std::max(
      0, static_cast<int>(std::bit_width(static_cast<uint64_t>(value_ns))) - (kStepBits + 1));
}

constexpr size_t Index(int64_t value_ns) {
  const int shift = Shift(value_ns);
  return static_cast<size_t>(shift * kSteps + (value_ns >> shift));
}

constexpr size_t kIndexes = Index(INT64_MAX) + 1;

}  // namespace

int64_t LatencyHistogram::ValueOf(size_t index) {
  const int64_t row = static_cast<int64_t>(index) / kSteps;
  const int shift = static_cast<int>(std::max<int64_t>(0, row - 1));
  const int64_t first = (static_cast<int64_t>(index) - shift * kSteps) << shift;
  return first + ((int64_t{1} << shift) - 1) / 2;
}

LatencyHistogram::LatencyHistogram() : counts_(kIndexes) {}

void LatencyHistogram::Record(absl::Duration latency) {
  const int64_t value_ns = std::max<int64_t>(0, absl::ToInt64Nanoseconds(latency));
  ++counts_[Index(value_ns)];
  ++count_;
  min_ns_ = std::min(min_ns_, value_ns);
  max_ns_ = std::max(max_ns_, value_ns);
  sum_ns_ += static_cast<double>(value_ns);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
}

LatencyHistogram LatencyHistogram::Since(const LatencyHistogram& earlier) const {
  LatencyHistogram rest;
  for (size_t i = 0; i < counts_.size(); ++i) {
    rest.counts_[i] = counts_[i] - earlier.counts_[i];
    if (rest.counts_[i] == 0) continue;
    rest.min_ns_ = std::min(rest.min_ns_, ValueOf(i));
    rest.max_ns_ = ValueOf(i);
  }
  rest.count_ = count_ - earlier.count_;
  rest.sum_ns_ = sum_ns_ - earlier.sum_ns_;
  return rest;
}

absl::Duration LatencyHistogram::Percentile(double p) const {
  if (count_ == 0) return absl::ZeroDuration();
  const int64_t rank = NearestRank(p, count_);
  // The extremes are known exactly.
  if (rank <= 1) return Min();
  if (rank >= count_) return Max();
  int64_t seen = 0;
  size_t index = 0;
  while (seen + counts_[index] < rank) seen += counts_[index++];
  return absl::Nanoseconds(std::clamp(ValueOf(index), min_ns_, max_ns_));
}

absl::Duration LatencyHistogram::Mean() const {
  return count_ == 0 ? absl::ZeroDuration()
                     : absl::Nanoseconds(sum_ns_ / static_cast<double>(count_));
}

int64_t NearestRank(double p, int64_t count) {
  constexpr double kRoundingError = 1e-9;
  const auto values = static_cast<double>(count);
  return static_cast<int64_t>(std::ceil(p * values / 100 - kRoundingError * values));
}

}  // namespace qkserve
