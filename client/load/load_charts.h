#ifndef QKSERVE_CLIENT_LOAD_LOAD_CHARTS_H_
#define QKSERVE_CLIENT_LOAD_LOAD_CHARTS_H_

#include <vector>

#include "client/load/chart.h"
#include "client/load/latency_histogram.h"
#include "client/load/run_load.h"

// The charts of a load, for pages.

namespace qkserve {

// Response times over the time of one load, and what was due, answered and failed.
LineChart LatencyOverTime(const LoadResult& step);
LineChart RateOverTime(const LoadResult& step);

// The server's own account over time: means of time queued and computed.
LineChart ServerTimesOverTime(const LoadResult& step);

// Response times against requests answered a second: a point a load, or, of a load whose rate
// changed, one an interval.
LineChart LatencyAgainstLoad(const std::vector<LoadResult>& steps);

struct NamedHistogram {
  std::string name;
  const LatencyHistogram& histogram;
};
// Shares of requests, over classes that grow by the same factor.
BarChart LatencyShares(const std::string& title, const std::vector<NamedHistogram>& histograms);

BarChart BatchSizes(const LoadCounts& counts);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_LOAD_LOAD_CHARTS_H_
