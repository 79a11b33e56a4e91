#ifndef QKSERVE_TOOLS_LOAD_FIND_PEAK_H_
#define QKSERVE_TOOLS_LOAD_FIND_PEAK_H_

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "tools/load/peak_search.h"
#include "tools/load/run_load.h"

namespace qkserve {

// Why a search ended.
enum class PeakEnd {
  kFound,          // between a rate that held and one that did not, or everything held
  kNothingHeld,    // the lowest rate did not hold
  kClientLimited,  // the rate above the one that held could not be sent from here
  kServerGone,     // no server answered any more
  kFailed,         // requests failed in a way that less load does not mend
  kInterrupted,    // by the caller
};

struct PeakResult {
  LatencyLimit limit;
  std::optional<double> held;    // the highest rate that held
  std::optional<double> failed;  // the lowest that did not
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

// A step must be so long that a rate which the server cannot serve shows: beyond it by 5%, the
// backlog is then as long as the limit.
absl::Duration ShortestStep(const LatencyLimit& limit);

// Searches the highest rate that holds the limit, with loads of constant rates that `run` carries
// out. `steps` gets their results, in order. `stop`: where it becomes true, the search ends.
PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_FIND_PEAK_H_
