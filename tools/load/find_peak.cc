#include "tools/load/find_peak.h"

#include <algorithm>

namespace qkserve {
namespace {

bool FailedOtherwise(const LoadResult& step, const PeakOptions& options) {
  const auto& errors = step.counts.errors_by_code;
  return std::any_of(errors.begin(), errors.end(),
                     [&options](const auto& code) { return !options.may_fail(code.first); });
}

// Lower rates are too few requests a step to say anything.
double LowestRate(const LoadOptions& load) {
  constexpr double kRequestsMin = 10;
  return std::min(load.rate_from, kRequestsMin / absl::ToDoubleSeconds(load.duration));
}

// True if the step would have held the limit had all of it been sent.
bool IsClientLimited(const LoadResult& step, const LatencyLimit& limit) {
  const LoadCounts& counts = step.counts;
  return counts.unsent > 0 && !counts.ServerWasBehind() &&
         counts.within_limit + counts.unsent >= NearestRank(limit.percentile, counts.Due());
}

}  // namespace

absl::Duration ShortestStep(const LatencyLimit& limit) { return 20 * limit.latency; }

PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps) {
  const LatencyLimit& limit = options.limit;
  PeakSearch search(options.load.rate_from, LowestRate(options.load));
  bool client_limited = false;  // of the lowest rate that failed
  std::optional<PeakEnd> early;
  while (search.Next().has_value()) {
    LoadOptions load = options.load;
    load.rate_from = load.rate_to = *search.Next();
    load.latency_limit = limit.latency;
    load.seed += steps->size();  // a second try has other arrivals
    const LoadResult step =
        run(load, [&limit](const LoadProgress& progress) { return !LostLimit(progress, limit); });
    steps->push_back(step);
    if (stop) early = PeakEnd::kInterrupted;
    if (!step.nobody_there.ok()) early = PeakEnd::kServerGone;
    if (FailedOtherwise(step, options)) early = PeakEnd::kFailed;
    if (early.has_value()) break;
    const bool held = HeldLimit(step, limit);
    search.Record(held);
    if (!held && search.failed() == load.rate_from) {
      client_limited = IsClientLimited(step, limit);
    }
  }
  PeakResult peak = {limit, search.held(), search.failed(), PeakEnd::kFound};
  if (!peak.held.has_value()) peak.end = PeakEnd::kNothingHeld;
  if (client_limited) peak.end = PeakEnd::kClientLimited;
  peak.end = early.value_or(peak.end);
  return peak;
}

}  // namespace qkserve
