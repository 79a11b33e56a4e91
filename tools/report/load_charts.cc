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

// The most classes of a histogram of latencies. There are ten a decade, or fewer if many decades
// are shown.
constexpr int kClassesMax = 40;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

absl::Duration Middle(const LoadInterval& interval) { return interval.begin + interval.length / 2; }

// The rate that was asked for in the middle of an interval. Missing for an interval after the end,
// in which answers come but no requests are due.
double RateDue(const LoadInterval& interval, const LoadResult& step) {
  if (Middle(interval) > step.options.duration) return kMissing;
  return step.options.Profile().RateAt(step.options.warm_up + Middle(interval));
}

using Figure = std::function<double(const LoadInterval&)>;

LineChart::Series OverTime(const LoadResult& step, const std::string& name, const Figure& figure) {
  LineChart::Series series = {name, {}};
  for (const LoadInterval& interval : step.timeline) {
    series.points.emplace_back(Seconds(Middle(interval)), figure(interval));
  }
  return series;
}

// An interval without answers has no time.
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

// "1.2ms": the lower end of a class.
std::string ClassName(int index, int a_decade) {
  const double us = std::pow(10, static_cast<double>(index) / a_decade);
  const auto text = [](double value, const char* unit) {
    return value < 9.95 ? absl::StrFormat("%.1f%s", value, unit)
                        : absl::StrFormat("%.0f%s", value, unit);
  };
  if (us < 999.5) return text(us, "µs");
  if (us < 999'500) return text(us / 1000, "ms");
  return text(us / 1e6, "s");
}

}  // namespace

LineChart LatencyOverTime(const LoadResult& step) {
  return {"Response time over time",
          {"seconds"},
          {"ms", /*logarithmic=*/true},
          {OverTime(step, "p50", Milliseconds(&LoadInterval::p50)),
           OverTime(step, "p90", Milliseconds(&LoadInterval::p90)),
           OverTime(step, "p99", Milliseconds(&LoadInterval::p99)),
           OverTime(step, "p99.9", Milliseconds(&LoadInterval::p999)),
           OverTime(step, "max", Milliseconds(&LoadInterval::max))}};
}

LineChart RateOverTime(const LoadResult& step) {
  LineChart chart = {"Requests over time",
                     {"seconds"},
                     {"requests/s"},
                     {OverTime(step, "answered OK", PerSecond(&LoadInterval::ok))}};
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
          {"seconds"},
          {"ms", /*logarithmic=*/true},
          {OverTime(step, "queued", Milliseconds(&LoadInterval::queued_mean)),
           OverTime(step, "computed", Milliseconds(&LoadInterval::computed_mean))}};
}

LineChart LatencyAgainstLoad(const std::vector<LoadResult>& steps) {
  // Closed loops are shown by the rate that was answered, in their order. Beyond its best a server
  // may answer less, and the line shows that. Open loops are shown by the rate that was due. Of
  // several loads at one rate the last is shown. A load whose rate changed is shown in stretches.
  std::vector<std::pair<double, LoadInterval>> points;
  std::map<double, LoadInterval> by_rate;
  const bool closed = steps[0].options.concurrency > 0;
  if (steps.size() > 1) {
    for (const LoadResult& step : steps) {
      // A load that was cut lacks its slowest answers, so it has no point.
      if (step.interrupted) continue;
      if (closed) points.emplace_back(step.RequestsPerSecond(), step.Whole());
      if (!closed) by_rate[step.options.rate_from] = step.Whole();
    }
  } else if (steps[0].options.rate_from != steps[0].options.rate_to) {
    for (const LoadInterval& stretch : steps[0].stretches) {
      const double rate = RateDue(stretch, steps[0]);
      if (std::isfinite(rate)) by_rate[rate] = stretch;
    }
  }
  points.insert(points.end(), by_rate.begin(), by_rate.end());
  LineChart chart = {"Response time against load",
                     {closed ? "requests answered OK a second" : "requests due a second"},
                     {"ms", /*logarithmic=*/true},
                     {{"p50", {}}, {"p99", {}}, {"p99.9", {}}}};
  const Figure figures[] = {Milliseconds(&LoadInterval::p50), Milliseconds(&LoadInterval::p99),
                            Milliseconds(&LoadInterval::p999)};
  for (const auto& [rate, interval] : points) {
    for (int i = 0; i < 3; ++i) chart.series[i].points.emplace_back(rate, figures[i](interval));
  }
  return chart;
}

BarChart LatencyShares(const std::string& title, const std::vector<NamedHistogram>& histograms) {
  BarChart chart = {title, "", "% of requests", {}, {}};
  absl::Duration low = absl::InfiniteDuration(), high;
  for (const NamedHistogram& named : histograms) {
    if (named.histogram.Count() == 0) continue;
    low = std::min(low, named.histogram.Min());
    high = std::max(high, named.histogram.Max());
  }
  if (low > high) return chart;
  int a_decade = 10;
  while (a_decade > 1 && DecadeClass(high, a_decade) - DecadeClass(low, a_decade) >= kClassesMax) {
    a_decade /= 2;
  }
  const int first = DecadeClass(low, a_decade);
  const int last = DecadeClass(high, a_decade);
  for (int i = first; i <= last; ++i) chart.classes.push_back(ClassName(i, a_decade));
  for (const NamedHistogram& named : histograms) {
    BarChart::Series series = {named.name, std::vector<double>(chart.classes.size())};
    named.histogram.ForEach([&](absl::Duration latency, int64_t count) {
      // Values are told by the middle of their step, which may be beyond the exact extremes.
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
                    "% of requests",
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
