#include "tools/load/find_peak.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qkserve {
namespace {

// The search ends if the lowest rate that failed is at most kRatioMin times the highest rate that
// held, or if the next rate is above kRateMax.
constexpr double kRatioMin = 1.05;
constexpr double kRateMax = 1e7;

// The server counts as gone after this many steps in a row without any answer.
constexpr int kSilentStepsMax = 2;

// A Poisson count seldom exceeds its mean by more than this many standard deviations.
constexpr double kDeviations = 4;

bool FailedOtherwise(const LoadResult& step, const PeakOptions& options) {
  const auto& errors = step.counts.errors_by_code;
  return std::any_of(errors.begin(), errors.end(),
                     [&options](const auto& code) { return !options.may_fail(code.first); });
}

// True if the server neither answered nor refused any request of the step.
bool IsSilent(const LoadResult& step) {
  const LoadCounts& counts = step.counts;
  const auto& errors = counts.errors_by_code;
  return counts.sent > 0 && counts.ok == 0 &&
         std::all_of(errors.begin(), errors.end(), [](const auto& code) {
           return code.first == absl::StatusCode::kDeadlineExceeded;
         });
}

// Returns the lowest rate to try. At a lower rate, a step has too few requests to say anything.
double LowestRate(const LoadOptions& load) {
  constexpr double kRequestsMin = 10;
  return std::min(load.rate_from, kRequestsMin / absl::ToDoubleSeconds(load.duration));
}

// True if the step may have missed the limit only because this client was too slow to send.
bool IsClientLimited(const LoadResult& step, const LatencyLimit& limit) {
  const LoadCounts& counts = step.counts;
  return counts.unsent > 0 && !counts.ServerWasBehind() &&
         counts.within_limit + counts.unsent >= NearestRank(limit.percentile, counts.Due());
}

}  // namespace

bool HeldLimit(const LoadResult& result, const LatencyLimit& limit) {
  const auto due = static_cast<int64_t>(result.counts.Due());
  return due > 0 && result.KeptSchedule() &&
         result.counts.within_limit >= NearestRank(limit.percentile, due);
}

bool LostLimit(const LoadProgress& progress, const LatencyLimit& limit) {
  const LoadOptions& options = progress.options;
  const LoadCounts& counts = progress.counts;
  const double rate = options.rate_from;
  const double due = rate * absl::ToDoubleSeconds(options.duration);
  const auto answered = static_cast<double>(counts.ok + counts.Errors());
  // Without any answer nothing is decided, because the machine may have stopped for a moment.
  if (answered == 0) return false;
  const double over = answered - static_cast<double>(counts.within_limit);
  // Requests that are due and not answered count as over the limit. The latest requests do not,
  // because they may still be answered in time.
  const double seconds = absl::ToDoubleSeconds(progress.at - options.warm_up);
  const double recent = rate * absl::ToDoubleSeconds(limit.latency);
  const double waiting =
      rate * seconds - kDeviations * std::sqrt(rate * std::max(seconds, 0.0)) - answered - recent;
  const double may_be_over = (1 - limit.percentile / 100) * due;
  return over + std::max(0.0, waiting) > may_be_over + kDeviations * std::sqrt(may_be_over + 1);
}

void PeakSearch::Record(bool held) {
  if (!next_.has_value()) return;
  if (!held && !std::exchange(doubted_, true)) return;
  doubted_ = false;
  const double rate = *next_;
  (held ? held_ : failed_) = rate;
  if (!failed_.has_value()) {
    next_ = rate * 2;
  } else if (!held_.has_value()) {
    next_ = rate / 2;
  } else {
    next_ = std::sqrt(*held_ * *failed_);
  }
  const bool close = held_.has_value() && failed_.has_value() && *failed_ / *held_ <= kRatioMin;
  if (close || *next_ < rate_min_ || *next_ > kRateMax) next_ = std::nullopt;
}

absl::Duration ShortestStep(const LatencyLimit& limit) { return 20 * limit.latency; }

PeakResult FindPeak(const PeakOptions& options, const LoadRunner& run,
                    const std::atomic<bool>& stop, std::vector<LoadResult>* steps) {
  const LatencyLimit& limit = options.limit;
  PeakSearch search(options.load.rate_from, LowestRate(options.load));
  bool client_limited = false;  // this client could not send the lowest rate that failed
  int silent = 0;               // silent steps in a row
  std::optional<PeakEnd> early;
  while (search.Next().has_value()) {
    LoadOptions load = options.load;
    load.rate_from = load.rate_to = *search.Next();
    load.latency_limit = limit.latency;
    load.seed += steps->size();  // a second try gets other arrivals
    const LoadResult step =
        run(load, [&limit](const LoadProgress& progress) { return !LostLimit(progress, limit); });
    steps->push_back(step);
    if (stop) early = PeakEnd::kInterrupted;
    silent = IsSilent(step) ? silent + 1 : 0;
    if (!step.nobody_there.ok() || silent == kSilentStepsMax) early = PeakEnd::kServerGone;
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
