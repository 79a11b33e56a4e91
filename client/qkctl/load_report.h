#ifndef QKSERVE_CLIENT_QKCTL_LOAD_REPORT_H_
#define QKSERVE_CLIENT_QKCTL_LOAD_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "client/qkctl/load_loop.h"
#include "client/qkctl/load_requests.h"

namespace qkserve {

// The closing table.
std::string LoadReportText(const LoadWorkload& workload, const LoadCounts& counts,
                           absl::Duration elapsed);

// requests_per_second, latency_us {p50, p90, p99, p999, max, mean}, ok, errors, errors_by_code,
// batch_requests_mean, queued_us_mean, computed_us_mean, and the workload. Rates and latencies are
// of the requests that were answered OK; what has no value then is null.
nlohmann::ordered_json LoadReportJson(const LoadWorkload& workload, const LoadCounts& counts,
                                      absl::Duration elapsed);

// One line about a load that runs. The rate is that since `earlier`, taken `interval` before.
std::string LoadProgressText(const LoadCounts& counts, int64_t earlier_ok, absl::Duration interval,
                             absl::Duration remaining);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_LOAD_REPORT_H_
