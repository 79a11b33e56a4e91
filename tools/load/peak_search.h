#ifndef QKSERVE_TOOLS_LOAD_PEAK_SEARCH_H_
#define QKSERVE_TOOLS_LOAD_PEAK_SEARCH_H_

#include <optional>

#include "absl/time/time.h"
#include "tools/load/run_load.h"

namespace qkserve {

// p percent of the requests are to have a response time of `latency` at most.
struct LatencyLimit {
  double percentile = 99;
  absl::Duration latency = absl::InfiniteDuration();
};

// True if the load held the limit. Errors, and requests that were not sent or not answered, count
// as over it; a rate that was not sent is not held. The options must have had the limit's latency.
bool HeldLimit(const LoadResult& result, const LatencyLimit& limit);

// True if a load of a constant rate cannot hold the limit any more, whatever follows.
bool LostLimit(const LoadProgress& progress, const LatencyLimit& limit);

// The highest rate at which a limit holds: doubles from a first rate until one does not hold (or
// halves until one does), then halves the interval between, in ratio, until it is small. A rate
// must fail twice to have failed: one hiccup of a machine is not the server's limit.
//
// Pure and thread-compatible.
class PeakSearch {
 public:
  // No rate is lower than rate_min.
  PeakSearch(double first_rate, double rate_min) : rate_min_(rate_min), next_(first_rate) {}

  // The rate to try. nullopt: the search is over.
  std::optional<double> Next() const { return next_; }

  // The result of the load at the rate that Next returned.
  void Record(bool held);

  // nullopt: no rate held, or none failed.
  std::optional<double> held() const { return held_; }
  std::optional<double> failed() const { return failed_; }

 private:
  const double rate_min_;
  std::optional<double> next_;
  bool doubted_ = false;          // next_ failed once
  std::optional<double> held_;    // the highest
  std::optional<double> failed_;  // the lowest
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_PEAK_SEARCH_H_
