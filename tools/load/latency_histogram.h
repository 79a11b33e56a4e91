#ifndef QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_
#define QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace qkserve {

// Counts latencies with a relative resolution. The range from each power of two nanoseconds to the
// next is cut into 512 equal steps. A value is reported as the middle of its step, so a percentile
// is off by at most 1/1024 of itself. Values below 1024 ns are exact. Any duration of up to 64 bits
// of nanoseconds fits. The object takes 220 KB, however many latencies are recorded.
//
// Thread-compatible.
class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative latencies count as 0.
  void Record(absl::Duration latency);

  void Merge(const LatencyHistogram& other);

  // Returns the values recorded since `earlier`, which is an older copy of this object. In the
  // result, the minimum and the maximum are only as exact as percentiles.
  LatencyHistogram Since(const LatencyHistogram& earlier) const;

  // Calls fn(latency, count) for each recorded latency, in ascending order. A latency is the middle
  // of its step.
  template <typename Function>
  void ForEach(Function fn) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) fn(absl::Nanoseconds(ValueOf(i)), counts_[i]);
    }
  }

  int64_t Count() const { return count_; }

  // Returns the smallest latency that at least p percent of the recorded latencies do not exceed
  // (nearest rank). `p` is from 0, for the minimum, to 100, for the maximum. Returns zero if
  // nothing was recorded.
  absl::Duration Percentile(double p) const;

  // Return the exact extremes, or zero if nothing was recorded.
  absl::Duration Min() const { return absl::Nanoseconds(count_ == 0 ? 0 : min_ns_); }
  absl::Duration Max() const { return absl::Nanoseconds(max_ns_); }
  absl::Duration Mean() const;

 private:
  // Returns the middle of the values that share `index`.
  static int64_t ValueOf(size_t index);

  std::vector<int64_t> counts_;
  int64_t count_ = 0;
  int64_t min_ns_ = INT64_MAX;
  int64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

// Returns the nearest rank: the smallest number of values that is at least `p` percent of `count`.
// Percentages may have up to four decimals. A tolerance absorbs rounding errors, which could
// otherwise raise the rank by one.
int64_t NearestRank(double p, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_LATENCY_HISTOGRAM_H_
