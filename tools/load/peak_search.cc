#include "tools/load/peak_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qkserve {
namespace {

// The end of the search: rates that are so close, and rates beyond what there is.
constexpr double kRatioMin = 1.05;
constexpr double kRateMax = 1e7;

// Standard deviations by which a Poisson count seldom exceeds its expected value.
constexpr double kDeviations = 4;

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
  const double over = answered - static_cast<double>(counts.within_limit);
  // Requests that are due and not answered count as over the limit, except the latest ones.
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

}  // namespace qkserve
