#ifndef QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_
#define QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace qkserve {

// Counts latencies, at a resolution that follows the value. Each power of two of nanoseconds is cut
// into 512 equal steps, and a value is reported as the middle of its step. So a percentile is off
// by at most 1/1024 of itself, and is exact below 1024 ns. Any duration of up to 64 bits of
// nanoseconds fits. It takes 220 KB, however many latencies are recorded.
//
// Thread-compatible.
class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative latencies count as 0.
  void Record(absl::Duration latency);

  void Merge(const LatencyHistogram& other);

  // The values recorded since `earlier`, a copy of this object from an earlier time. Minimum and
  // maximum are as exact as percentiles are.
  LatencyHistogram Since(const LatencyHistogram& earlier) const;

  // Calls fn(latency, count) for each latency that was recorded, to that precision, in ascending
  // order.
  template <typename Function>
  void ForEach(Function fn) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) fn(absl::Nanoseconds(ValueOf(i)), counts_[i]);
    }
  }

  int64_t Count() const { return count_; }

  // The smallest latency that at least p percent of the recorded ones do not exceed (nearest rank);
  // p from 0, the minimum, to 100, the maximum. Zero if nothing was recorded.
  absl::Duration Percentile(double p) const;

  // The exact extremes. Zero if nothing was recorded.
  absl::Duration Min() const { return absl::Nanoseconds(count_ == 0 ? 0 : min_ns_); }
  absl::Duration Max() const { return absl::Nanoseconds(max_ns_); }
  absl::Duration Mean() const;

 private:
  // The middle of the values that share `index`.
  static int64_t ValueOf(size_t index);

  std::vector<int64_t> counts_;
  int64_t count_ = 0;
  int64_t min_ns_ = INT64_MAX;
  int64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

// The nearest rank: the least number of `count` values that are at least `p` percent of them. For
// percentages of up to four decimals, which binary fractions would push to the next rank.
int64_t NearestRank(double p, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_
