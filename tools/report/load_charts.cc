#include "tools/report/load_charts.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qkserve {
namespace {

// The most classes of a histogram of latencies. A decade has ten classes, or fewer if many decades
// are shown.
constexpr int kClassesMax = 40;
constexpr int kClassesADecade = 10;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

absl::Duration Middle(const LoadInterval& interval) { return interval.begin + interval.length / 2; }

// Returns the requested rate at the middle of an interval. Returns kMissing if that is after the
// end, when no requests are due.
double RateDue(const LoadInterval& interval, const LoadResult& step) {
  if (Middle(interval) > step.options.duration) return kMissing;
  return step.options.Profile().RateAt(step.options.warm_up + Middle(interval));
}

// Returns false for an interval that the load's end, or the last answer, cut short. Its figures are
// not of the load: fewer requests come, and only the slowest answers.
bool IsWhole(const LoadInterval& interval, const LoadResult& step) {
  constexpr double kJitter = 0.1;  // ends of intervals are sampled a little late
  const std::vector<LoadInterval>& all = step.timeline;
  if (&interval == &all.front()) return true;
  if (&interval == &all.back()) {
    const auto shortest = std::min_element(
        all.begin(), all.end() - 1,
        [](const LoadInterval& a, const LoadInterval& b) { return a.length < b.length; });
    if (interval.length < (1 - kJitter) * shortest->length) return false;
  }
  const absl::Duration after = interval.begin + interval.length - step.elapsed;
  return after <= kJitter * interval.length || interval.begin >= step.elapsed;
}

using Figure = std::function<double(const LoadInterval&)>;

LineChart::Series OverTime(const LoadResult& step, const std::string& name, const Figure& figure) {
  LineChart::Series series = {name, {}};
  for (const LoadInterval& interval : step.timeline) {
    if (!IsWhole(interval, step)) continue;
    series.points.emplace_back(Seconds(Middle(interval)), figure(interval));
  }
  return series;
}

// Returns a function that gives a time of an interval in milliseconds, or kMissing for an interval
// without answers.
Figure Milliseconds(absl::Duration LoadInterval::*member) {
  return [member](const LoadInterval& interval) {
    return interval.ok == 0 ? kMissing : absl::ToDoubleMilliseconds(interval.*member);
  };
}

Figure PerSecond(int64_t LoadInterval::*member) {
  return [member](const LoadInterval& interval) {
    return static_cast<double>(interval.*member) / std::max(1e-9, Seconds(interval.length));
  };
}

int DecadeClass(absl::Duration latency, int a_decade) {
  const double us = std::max(absl::ToDoubleMicroseconds(latency), 0.1);
  return static_cast<int>(std::floor(std::log10(us) * a_decade));
}

// Returns the lower end of a class in milliseconds.
double ClassBegin(int index, int a_decade) {
  return std::pow(10, static_cast<double>(index) / a_decade) / 1e3;
}

// Returns the lower end of a class if it is nearly 1, 2 or 5 times a power of ten, or "" if not.
std::string RoundBegin(int index, int a_decade) {
  const int in_decade = (index % a_decade + a_decade) % a_decade;
  const bool is_round =
      in_decade == 0 || (a_decade == kClassesADecade && (in_decade == 3 || in_decade == 7));
  if (!is_round) return "";
  const int factor = in_decade == 3 ? 2 : in_decade == 7 ? 5 : 1;
  return UnitText(factor * ClassBegin(index - in_decade, a_decade), Unit::kMilliseconds);
}

// Returns the limit of a search as a level of a chart.
std::vector<ChartMark> LimitOf(const LatencyLimit& limit) {
  const double ms = absl::ToDoubleMilliseconds(limit.latency);
  return {{ms, absl::StrFormat("limit: p%g within %s", limit.percentile,
                               UnitText(ms, Unit::kMilliseconds))}};
}

// Returns marks at the rates between which a search ended.
std::vector<ChartMark> EndsOf(const PeakResult& peak) {
  std::vector<ChartMark> marks;
  const auto text = [](double rate) { return UnitText(rate, Unit::kPerSecond); };
  if (peak.held.has_value()) {
    const std::string rate = text(*peak.held);
    marks.push_back({*peak.held, peak.end == PeakEnd::kFound ? "peak " + rate : rate + " held",
                     /*is_good=*/true});
  }
  if (peak.failed.has_value()) {
    marks.push_back({*peak.failed, absl::StrCat(text(*peak.failed), " too much")});
  }
  return marks;
}

// Returns loads in the order in which a line shows them. A load that ended early lacks its slowest
// answers, so it is left out. Closed loops keep their order. Open loops are sorted by their rate.
// If several open loops have the same rate, the last one is shown.
std::vector<const LoadResult*> ShownSteps(const std::vector<LoadResult>& steps) {
  std::vector<const LoadResult*> shown;
  std::map<double, const LoadResult*> by_rate;
  for (const LoadResult& step : steps) {
    if (step.interrupted) continue;
    if (step.options.concurrency > 0) shown.push_back(&step);
    if (step.options.concurrency == 0) by_rate[step.options.rate_from] = &step;
  }
  for (const auto& [rate, step] : by_rate) shown.push_back(step);
  return shown;
}

ChartAxis TimeAxis() { return {"time", Unit::kSeconds}; }

}  // namespace

LineChart LatencyOverTime(const LoadResult& step) {
  LineChart chart = {"Response time over time",
                     TimeAxis(),
                     {"", Unit::kMilliseconds, /*logarithmic=*/true},
                     {OverTime(step, "p50", Milliseconds(&LoadInterval::p50)),
                      OverTime(step, "p90", Milliseconds(&LoadInterval::p90)),
                      OverTime(step, "p99", Milliseconds(&LoadInterval::p99)),
                      OverTime(step, "max", Milliseconds(&LoadInterval::max))}};
  const double limit = absl::ToDoubleMilliseconds(step.options.latency_limit);
  if (std::isfinite(limit)) {
    chart.levels = {{limit, absl::StrCat("limit ", UnitText(limit, Unit::kMilliseconds))}};
  }
  return chart;
}

LineChart RateOverTime(const LoadResult& step) {
  LineChart chart = {"Requests over time",
                     TimeAxis(),
                     {"", Unit::kPerSecond, /*logarithmic=*/false, /*from_zero=*/true},
                     {OverTime(step, "OK", PerSecond(&LoadInterval::ok))}};
  if (step.counts.Errors() > 0) {
    chart.series.push_back(OverTime(step, "failed", PerSecond(&LoadInterval::errors)));
  }
  if (step.options.concurrency == 0) {
    chart.series.push_back(OverTime(
        step, "due", [&step](const LoadInterval& interval) { return RateDue(interval, step); }));
  }
  return chart;
}

LineChart ServerTimesOverTime(const LoadResult& step) {
  return {"Inside the server over time (means, from receipts)",
          TimeAxis(),
          {"", Unit::kMilliseconds, /*logarithmic=*/true},
          {OverTime(step, "queued", Milliseconds(&LoadInterval::queued_mean)),
           OverTime(step, "computed", Milliseconds(&LoadInterval::computed_mean))}};
}

LineChart LatencyAgainstLoad(const std::vector<LoadResult>& steps, const PeakResult* peak) {
  // A closed loop is placed at the rate that was answered. An overloaded server may answer less,
  // and the line shows this. An open loop is placed at the rate that was due. A load whose rate
  // changed is shown in stretches.
  const bool is_closed = steps[0].options.concurrency > 0;
  LineChart chart = {"Response time against load",
                     {is_closed ? "requests answered OK; at the points: callers" : "requests due",
                      Unit::kPerSecond, /*logarithmic=*/false, /*from_zero=*/true},
                     {"", Unit::kMilliseconds, /*logarithmic=*/true},
                     {{"p50", {}}, {"p99", {}}, {"p99.9", {}}}};
  double percentiles[] = {50, 99, 99.9};
  if (peak != nullptr) {
    chart.levels = LimitOf(peak->limit);
    chart.places = EndsOf(*peak);
    if (peak->limit.percentile != 99.9) {
      percentiles[1] = peak->limit.percentile;
      chart.series[1].name = absl::StrFormat("p%g", peak->limit.percentile);
    }
  }
  if (steps.size() > 1) {
    for (const LoadResult* step : ShownSteps(steps)) {
      const double rate = is_closed ? step->RequestsPerSecond() : step->options.rate_from;
      for (int i = 0; i < 3; ++i) {
        const LatencyHistogram& response = step->counts.response;
        chart.series[i].points.emplace_back(
            rate, response.Count() == 0
                      ? kMissing
                      : absl::ToDoubleMilliseconds(response.Percentile(percentiles[i])));
      }
      if (is_closed) chart.point_labels.push_back(absl::StrCat(step->options.concurrency));
    }
  } else if (steps[0].options.rate_from != steps[0].options.rate_to) {
    const Figure figures[] = {Milliseconds(&LoadInterval::p50), Milliseconds(&LoadInterval::p99),
                              Milliseconds(&LoadInterval::p999)};
    for (const LoadInterval& stretch : steps[0].stretches) {
      const double rate = RateDue(stretch, steps[0]);
      if (!std::isfinite(rate)) continue;
      for (int i = 0; i < 3; ++i) chart.series[i].points.emplace_back(rate, figures[i](stretch));
    }
  }
  return chart;
}

LineChart RateAgainstLoad(const std::vector<LoadResult>& steps, const PeakResult* peak) {
  const bool is_closed = steps[0].options.concurrency > 0;
  LineChart chart = {"Requests answered against load",
                     is_closed ? ChartAxis{"callers", Unit::kNone, /*logarithmic=*/true}
                               : ChartAxis{"requests due", Unit::kPerSecond,
                                           /*logarithmic=*/false, /*from_zero=*/true},
                     {"", Unit::kPerSecond, /*logarithmic=*/false, /*from_zero=*/true},
                     {{"OK", {}}}};
  if (steps.size() < 2) return chart;
  for (const LoadResult* step : ShownSteps(steps)) {
    const double rate = step->RequestsPerSecond();
    chart.series[0].points.emplace_back(
        is_closed ? step->options.concurrency : step->options.rate_from, rate);
    if (is_closed) chart.point_labels.push_back(UnitText(rate, Unit::kPerSecond));
  }
  if (peak != nullptr) chart.places = EndsOf(*peak);
  return chart;
}

BarChart LatencyShares(const std::string& title, const std::vector<NamedHistogram>& histograms) {
  BarChart chart = {title, "bars: share of the requests", Unit::kPercent, {}, {}};
  absl::Duration low = absl::InfiniteDuration(), high;
  for (const NamedHistogram& named : histograms) {
    if (named.histogram.Count() == 0) continue;
    low = std::min(low, named.histogram.Min());
    high = std::max(high, named.histogram.Max());
  }
  if (low > high) return chart;
  int a_decade = kClassesADecade;
  while (a_decade > 1 && DecadeClass(high, a_decade) - DecadeClass(low, a_decade) >= kClassesMax) {
    a_decade /= 2;
  }
  // The classes begin and end at round values.
  int first = DecadeClass(low, a_decade);
  int last = DecadeClass(high, a_decade);
  while (RoundBegin(first, a_decade).empty()) --first;
  while (RoundBegin(last + 1, a_decade).empty()) ++last;
  for (int i = first; i <= last; ++i) {
    chart.classes.push_back(
        absl::StrCat(UnitText(ClassBegin(i, a_decade), Unit::kMilliseconds), " to ",
                     UnitText(ClassBegin(i + 1, a_decade), Unit::kMilliseconds)));
    chart.edges.push_back(RoundBegin(i, a_decade));
  }
  chart.edges.push_back(RoundBegin(last + 1, a_decade));
  for (const NamedHistogram& named : histograms) {
    BarChart::Series series = {named.name, std::vector<double>(chart.classes.size())};
    named.histogram.ForEach([&](absl::Duration latency, int64_t count) {
      // The histogram returns the middle of a step, which may be beyond the exact extremes.
      const int index = std::clamp(DecadeClass(latency, a_decade), first, last) - first;
      series.values[static_cast<size_t>(index)] +=
          100.0 * static_cast<double>(count) / static_cast<double>(named.histogram.Count());
    });
    chart.series.push_back(std::move(series));
  }
  return chart;
}

BarChart BatchSizes(const LoadCounts& counts) {
  BarChart chart = {"Requests by the size of their batch",
                    "requests in the batch",
                    Unit::kPercent,
                    {},
                    {{"requests", {}}}};
  int last = kBatchSizeClasses - 1;
  while (last > 0 && counts.batch_sizes[static_cast<size_t>(last)] == 0) --last;
  for (int i = 0; i <= last && counts.ok > 0; ++i) {
    const int low = 1 << i;
    const bool open = i == kBatchSizeClasses - 1;
    chart.classes.push_back(i == 0 ? "1"
                            : open ? absl::StrCat(low, "+")
                                   : absl::StrCat(low, "-", 2 * low - 1));
    chart.series[0].values.push_back(
        100.0 * static_cast<double>(counts.batch_sizes[static_cast<size_t>(i)]) /
        static_cast<double>(counts.ok));
  }
  return chart;
}

}  // namespace qkserve
