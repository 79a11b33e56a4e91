#ifndef QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_
#define QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_

#include <vector>

#include "tools/load/find_peak.h"
#include "tools/load/latency_histogram.h"
#include "tools/load/run_load.h"
#include "tools/report/chart.h"

// The charts of a load, for pages.

namespace qkserve {

// Return charts over the time of one load: response times, and requests due, answered and failed.
// Intervals that the end of the load or the last answer cut short are left out.
LineChart LatencyOverTime(const LoadResult& step);
LineChart RateOverTime(const LoadResult& step);

// Returns the server's own times over the time of a load: the means of time queued and computed.
LineChart ServerTimesOverTime(const LoadResult& step);

// Return charts against the load: response times, and requests answered. A load is one point. If
// its rate changed, each stretch is a point of the first chart. `peak`, if given, adds the limit
// and the rates between which the search ended.
LineChart LatencyAgainstLoad(const std::vector<LoadResult>& steps,
                             const PeakResult* peak = nullptr);
LineChart RateAgainstLoad(const std::vector<LoadResult>& steps, const PeakResult* peak = nullptr);

struct NamedHistogram {
  std::string name;
  const LatencyHistogram& histogram;
};
// Returns the share of requests in each class of latencies. Each class is wider than the class
// before by the same factor.
BarChart LatencyShares(const std::string& title, const std::vector<NamedHistogram>& histograms);

BarChart BatchSizes(const LoadCounts& counts);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_
