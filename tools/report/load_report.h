#ifndef QKSERVE_TOOLS_REPORT_LOAD_REPORT_H_
#define QKSERVE_TOOLS_REPORT_LOAD_REPORT_H_

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "qkserve/v1/status.pb.h"
#include "tools/load/find_peak.h"
#include "tools/load/run_load.h"
#include "tools/load/verifier.h"
#include "tools/load/workload.h"

namespace qkserve {

inline constexpr std::array<std::pair<const char*, double>, 6> kReportPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}, {"max", 100}}};

struct VerifyReport {
  Verifier::Result result;
  bool keys_known = true;  // false: only duplicates were compared
};

// The client and the server of a load.
struct LoadMachines {
  std::string client_cpu;  // "" if it is not known
  int client_cpus = 0;
  std::string server;            // its address
  v1::GetStatusResponse status;  // status of the server; empty if it did not say
};

// Everything that is known about a load when it is over.
struct LoadReport {
  LoadWorkload workload;
  std::string key_set;  // name of the key set, or of the first one
  int channels = 1;
  absl::Time begun;
  LoadMachines machines;
  bool is_series = false;         // several loads were asked for, or a search
  std::vector<LoadResult> steps;  // at least one, in the order in which they ran
  std::optional<PeakResult> peak;
  std::optional<VerifyReport> verify;
};

// Returns "1.234 ms".
std::string MillisecondsText(absl::Duration duration);

// Returns "32 at a time", "500/s, poisson" or "100 to 500/s, constant".
std::string PaceText(const LoadOptions& options);

// Returns why a load did not keep its schedule: "sent 480 of 1000 requests that were due (48.0%):
// ...".
std::string BehindScheduleText(const LoadResult& result);

// Returns "latencies are of the 990 requests answered OK; 10 others are left out" for the loads
// whose latencies are shown. The others are failed and abandoned requests, which have no latency.
std::string LatencyScopeText(absl::Span<const LoadResult> steps);

// Returns the result of a search in one line: "peak: 1660/s hold p99 <= 50ms (p99 48.100 ms);
// 1740/s do not (912 of 960 in time)". If the search found nothing, the line says why, and what is
// known.
std::string PeakText(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_LOAD_REPORT_H_
