#ifndef QKSERVE_TOOLS_LOAD_FIND_PEAK_H_
#define QKSERVE_TOOLS_LOAD_FIND_PEAK_H_

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tools/load/run_load.h"

namespace qkserve {

// At least `percentile` percent of the requests must have a response time of at most `latency`.
struct LatencyLimit {
  double percentile = 99;
  absl::Duration latency = absl::InfiniteDuration();
};

// True if the load held the limit. Errors, and requests that were not sent or not answered, count
// as over the limit. A load that did not keep its schedule did not hold. Requires
// result.options.latency_limit == limit.latency.
bool HeldLimit(const LoadResult& result, const LatencyLimit& limit);

// True if a load of a constant rate cannot hold the limit any more, whatever follows. Needs at
// least one answer.
bool LostLimit(const LoadProgress& progress, const LatencyLimit& limit);

// Searches the highest rate at which a limit holds. It doubles the first rate until a rate fails,
// or halves it until a rate holds. Then it bisects the interval between, in ratio, until that is
// small. A rate has failed only after two tries: one hiccup of a machine is not the server's limit.
//
// Pure and thread-compatible.
class PeakSearch {
 public:
  // No rate is lower than rate_min.
  PeakSearch(double first_rate, double rate_min) : rate_min_(rate_min), next_(first_rate) {}

  // The rate to try. nullopt: the search is over.
  std::optional<double> Next() const { return next_; }

  // Records whether the load at the rate of Next held.
  void Record(bool held);

  // nullopt: no rate held, or none failed.
  std::optional<double> held() const { return held_; }
  std::optional<double> failed() const { return failed_; }

 private:
  const double rate_min_;
  std::optional<double> next_;
  bool doubted_ = false;          // next_ failed once
  std::optional<double> held_;    // the highest rate that held
  std::optional<double> failed_;  // the lowest rate that failed
};

// Why a search ended.
enum class PeakEnd {
  kFound,          // between a rate that held and one that did not, or everything held
  kNothingHeld,    // the lowest rate did not hold
  kClientLimited,  // the rate above the one that held could not be sent from here
  kServerGone,     // no server answered any more: two steps got no answer at all
  kFailed,         // requests failed in a way that less load does not mend
  kInterrupted,    // the caller ended it
};

struct PeakResult {
  LatencyLimit limit;
  std::optional<double> held;    // the highest rate that held
  std::optional<double> failed;  // the lowest rate that did not hold
  PeakEnd end = PeakEnd::kInterrupted;
};

// Answers of an overloaded server, or of the proxy before it.
inline constexpr std::array<absl::StatusCode, 3> kOverloadCodes = {
    absl::StatusCode::kResourceExhausted, absl::StatusCode::kDeadlineExceeded,
    absl::StatusCode::kUnavailable};

// Runs one load; the observer may end it.
using LoadRunner =
    std::function<LoadResult(const LoadOptions& options, const LoadObserver& observer)>;

struct PeakOptions {
  LoadOptions load;  // the first rate is its rate_from
  LatencyLimit limit;
  std::function<bool(absl::StatusCode)> may_fail;  // other errors end the search
};

// The shortest step that shows that a server cannot serve a rate: at 5 % above what it can serve,
// the backlog at the end of the step is as long as the limit.
absl::Duration ShortestStep(const LatencyLimit& limit);

// Searches the highest rate that holds the limit, with loads of constant rates that `run` carries
// out. `steps` gets their results, in order. The search ends when `stop` becomes true.
PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_FIND_PEAK_H_
