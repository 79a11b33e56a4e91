#include "tools/report/load_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// Returns a rate as text: "0.25", "1660", "39819".
std::string RateText(double rate) {
  return rate < 1000 ? absl::StrFormat("%.4g", rate) : absl::StrFormat("%.0f", rate);
}

// Returns "p99 48.100 ms" if the step held the limit. Otherwise returns how many requests were
// in time, and what failed.
std::string OutcomeText(const LoadResult& step, const LatencyLimit& limit) {
  const LoadCounts& counts = step.counts;
  if (HeldLimit(step, limit)) {
    return absl::StrFormat("p%g %s", limit.percentile,
                           MillisecondsText(counts.response.Percentile(limit.percentile)));
  }
  std::string text = absl::StrFormat("%d of %d in time", counts.within_limit, counts.Due());
  if (counts.unsent > 0) absl::StrAppendFormat(&text, ", %d not sent", counts.unsent);
  for (const auto& [code, errors] : counts.errors_by_code) {
    absl::StrAppendFormat(&text, ", %d %s", errors.count, absl::StatusCodeToString(code));
  }
  return text;
}

// The headlines for PeakEnd's values, in their order.
constexpr const char* kPeakHeadlines[] = {"peak",
                                          "no peak",
                                          "no peak found: this client could not send more",
                                          "no peak found: the server does not answer any more",
                                          "no peak found: requests failed",
                                          "no peak found: ended early"};

}  // namespace

std::string MillisecondsText(absl::Duration duration) {
  return absl::StrFormat("%.3f ms", absl::ToDoubleMilliseconds(duration));
}

std::string PaceText(const LoadOptions& options) {
  if (options.concurrency > 0) return absl::StrCat(options.concurrency, " at a time");
  const char* const arrivals = options.arrivals == Arrivals::kPoisson ? "poisson" : "constant";
  std::string to = absl::StrCat(RateText(options.rate_to), "/s, ", arrivals);
  if (options.rate_from == options.rate_to) return to;
  return absl::StrCat(RateText(options.rate_from), " to ", to);
}

std::string LatencyScopeText(absl::Span<const LoadResult> steps) {
  int64_t ok = 0;
  int64_t others = 0;
  for (const LoadResult& step : steps) {
    ok += step.counts.ok;
    others += step.counts.Errors() + step.counts.abandoned;
  }
  const std::string text =
      absl::StrCat("latencies are of the ", CountText(ok, "request"), " answered OK");
  return others == 0 ? text
                     : absl::StrCat(text, "; ", others, others == 1 ? " other is" : " others are",
                                    " left out");
}

std::string BehindScheduleText(const LoadResult& result) {
  const LoadCounts& counts = result.counts;
  const double part =
      100 * static_cast<double>(counts.sent) / std::max(1.0, static_cast<double>(counts.Due()));
  return absl::StrFormat(
      "sent %d of %d requests that were due (%.1f%%): %s", counts.sent, counts.Due(), part,
      counts.ServerWasBehind()
          ? absl::StrCat("this tool has at most --in_flight_max=",
                         CountText(result.options.in_flight_max, "request"),
                         " in flight, and their answers came too late")
          : "this client could not send faster; more --channels, or less on its CPUs, may help");
}

std::string PeakText(const LoadReport& report) {
  const PeakResult& peak = *report.peak;
  const std::string limit =
      absl::StrCat("p", peak.limit.percentile, " <= ", absl::FormatDuration(peak.limit.latency));
  // If several steps have the same rate, the last one counts.
  const auto at = [&report, &peak](double rate) {
    const auto step = std::find_if(
        report.steps.rbegin(), report.steps.rend(),
        [rate](const LoadResult& candidate) { return candidate.options.rate_from == rate; });
    return step == report.steps.rend() ? "-" : OutcomeText(*step, peak.limit);
  };
  std::string text = kPeakHeadlines[static_cast<size_t>(peak.end)];
  if (peak.held.has_value()) {
    absl::StrAppendFormat(&text, "%s%s/s hold %s (%s)", peak.end == PeakEnd::kFound ? ": " : "; ",
                          RateText(*peak.held), limit, at(*peak.held));
  } else {
    absl::StrAppend(&text, peak.end == PeakEnd::kNothingHeld ? ": " : "; ", "no rate held ", limit);
    if (peak.end == PeakEnd::kNothingHeld)
      absl::StrAppend(&text, ", and lower ones need a longer --duration");
  }
  if (peak.failed.has_value()) {
    absl::StrAppendFormat(&text, "; %s/s do not (%s)", RateText(*peak.failed), at(*peak.failed));
  }
  return text;
}

}  // namespace qkserve
