#include "client/load/find_peak.h"

#include <algorithm>

namespace qkserve {
namespace {

bool FailedOtherwise(const LoadResult& step, const PeakOptions& options) {
  const auto& errors = step.counts.errors_by_code;
  return std::any_of(errors.begin(), errors.end(),
                     [&options](const auto& code) { return !options.may_fail(code.first); });
}

// A rate that could not be sent says nothing of the server.
bool IsClientLimited(const LoadResult& step) {
  return !step.KeptSchedule() && step.counts.in_flight_full == 0;
}

}  // namespace

bool IsOverload(absl::StatusCode code) {
  return code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kUnavailable;
}

PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps) {
  const LatencyLimit& limit = options.limit;
  PeakSearch search(options.load.rate_from);
  bool client_limited = false;  // of the lowest rate that failed
  std::optional<PeakEnd> early;
  while (search.Next().has_value()) {
    LoadOptions load = options.load;
    load.rate_from = load.rate_to = *search.Next();
    const LoadResult step =
        run(load, [&limit](const LoadProgress& progress) { return !LostLimit(progress, limit); });
    steps->push_back(step);
    if (stop) early = PeakEnd::kInterrupted;
    if (!step.nobody_there.ok()) early = PeakEnd::kServerGone;
    if (FailedOtherwise(step, options)) early = PeakEnd::kFailed;
    if (early.has_value()) break;
    const bool held = HeldLimit(step, limit);
    search.Tell(held);
    if (!held && search.failed() == load.rate_from) client_limited = IsClientLimited(step);
  }
  PeakResult peak = {limit, search.held(), search.failed(), PeakEnd::kFound};
  if (!peak.held.has_value()) peak.end = PeakEnd::kNothingHeld;
  if (client_limited) peak.end = PeakEnd::kClientLimited;
  peak.end = early.value_or(peak.end);
  return peak;
}

}  // namespace qkserve
