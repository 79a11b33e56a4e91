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
// as over the limit. A load that did not keep its schedule did not hold the limit. Requires
// result.options.latency_limit == limit.latency.
bool HeldLimit(const LoadResult& result, const LatencyLimit& limit);

// True if a load at a constant rate can no longer hold the limit. False before the first answer.
bool LostLimit(const LoadProgress& progress, const LatencyLimit& limit);

// Searches for the highest rate that holds a limit. Doubles the first rate until a rate fails, or
// halves it until a rate holds. Then tries the geometric mean of the two rates until their ratio is
// small. A rate fails only after two tries, because one hiccup of a machine is not the server's
// limit.
//
// Pure and thread-compatible.
class PeakSearch {
 public:
  // `rate_min` is the lowest rate that may be tried.
  PeakSearch(double first_rate, double rate_min) : rate_min_(rate_min), next_(first_rate) {}

  // Returns the rate to try, or nullopt if the search is over.
  std::optional<double> Next() const { return next_; }

  // Records whether the rate of Next held.
  void Record(bool held);

  // Return the highest rate that held and the lowest rate that failed. nullopt: no rate did.
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
  kFound,          // a rate held and a higher one failed, or every rate held
  kNothingHeld,    // the lowest rate did not hold
  kClientLimited,  // this client could not send the lowest rate that failed
  kServerGone,     // a step found no server, or two steps in a row got no answer
  kFailed,         // requests failed with errors that less load does not avoid
  kInterrupted,    // the caller ended the search
};

struct PeakResult {
  LatencyLimit limit;
  std::optional<double> held;    // the highest rate that held
  std::optional<double> failed;  // the lowest rate that failed
  PeakEnd end = PeakEnd::kInterrupted;
};

// The codes of an overloaded server, or of a proxy in front of it.
inline constexpr std::array<absl::StatusCode, 3> kOverloadCodes = {
    absl::StatusCode::kResourceExhausted, absl::StatusCode::kDeadlineExceeded,
    absl::StatusCode::kUnavailable};

// Runs one load, which is a step of the search. The observer may end the load.
using LoadRunner =
    std::function<LoadResult(const LoadOptions& options, const LoadObserver& observer)>;

struct PeakOptions {
  LoadOptions load;  // the first rate is its rate_from
  LatencyLimit limit;
  std::function<bool(absl::StatusCode)> may_fail;  // any other code ends the search
};

// Returns the shortest duration of a step that shows that a server cannot serve a rate. If the rate
// is 5 % above what the server can serve, the backlog at the end of the step takes limit.latency.
absl::Duration ShortestStep(const LatencyLimit& limit);

// Searches for the highest rate that holds the limit. `run` carries out each load at a constant
// rate. The results are appended to `steps` in order. The search ends when `stop` becomes true.
PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_FIND_PEAK_H_
