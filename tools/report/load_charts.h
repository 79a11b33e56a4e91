#ifndef QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_
#define QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_

#include <vector>

#include "tools/load/find_peak.h"
#include "tools/load/latency_histogram.h"
#include "tools/load/run_load.h"
#include "tools/report/chart.h"

// The charts of a load, for pages.

namespace qkserve {

// Response times over the time of one load, and what was due, answered and failed.
LineChart LatencyOverTime(const LoadResult& step);
LineChart RateOverTime(const LoadResult& step);

// The server's own account over time: means of time queued and computed.
LineChart ServerTimesOverTime(const LoadResult& step);

// Response times, and requests answered, against the load. A load is a point. If its rate changed,
// each stretch of it is a point of the first chart. `peak`, if it is given, brings the limit and
// the rates between which the search ended.
LineChart LatencyAgainstLoad(const std::vector<LoadResult>& steps,
                             const PeakResult* peak = nullptr);
LineChart RateAgainstLoad(const std::vector<LoadResult>& steps, const PeakResult* peak = nullptr);

struct NamedHistogram {
  std::string name;
  const LatencyHistogram& histogram;
};
// The share of requests in each class of latencies. Classes grow by the same factor.
BarChart LatencyShares(const std::string& title, const std::vector<NamedHistogram>& histograms);

BarChart BatchSizes(const LoadCounts& counts);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_CHARTS_H_
