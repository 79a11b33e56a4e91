#ifndef QKSERVE_CLIENT_LOAD_LOAD_REPORT_H_
#define QKSERVE_CLIENT_LOAD_LOAD_REPORT_H_

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/load/peak_search.h"
#include "client/load/run_load.h"
#include "client/load/verifier.h"
#include "client/load/workload.h"

namespace qkserve {

inline constexpr std::array<std::pair<const char*, double>, 6> kReportPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}, {"max", 100}}};

struct PeakResult {
  LatencyLimit limit;
  std::optional<double> held;    // the highest rate that held
  std::optional<double> failed;  // the lowest that did not
  bool client_limited = false;   // the rate that failed could not be sent
};

struct VerifyReport {
  Verifier::Result result;
  bool keys_known = true;  // otherwise duplicates only
};

// Who sent and who answered.
struct LoadMachines {
  std::string client_cpu;  // "" where it is not known
  int client_cpus = 0;
  std::string server;                                                // its address
  std::string server_version, server_kernel, server_key_set_kernel;  // "" where it did not say
  int64_t server_workers = 0;
};

// All that is known of a load when it is over.
struct LoadReport {
  LoadWorkload workload;
  std::string key_set;  // the name, or that of the first
  int channels = 1;
  absl::Time begun;
  LoadMachines machines;
  std::vector<LoadResult> steps;  // at least one, in the order in which they ran
  std::optional<PeakResult> peak;
  std::optional<VerifyReport> verify;
};

// "Intel(R) Xeon(R) ...", "" where the system does not say, and the CPUs that may be used.
std::string CpuName();
int UsableCpuCount();

// "top_k", as on the command line.
std::string OutputText(Output output);

// "32 at a time", "500/s, poisson", "100 to 500/s, constant".
std::string PaceText(const LoadOptions& options);

// "sent 480 of 1000 requests that were due (48.0%): ..." where a load did not keep its schedule,
// and why.
std::string BehindScheduleText(const LoadResult& result);

// Of one load: requests_per_second, goodput_per_second, latency_us (response time) and service_us
// with p50, p90, p99, p999, p9999, max and mean, due, sent, late, unsent, abandoned, ok, good,
// errors, errors_by_code, batch_requests_mean, queued_us_mean, computed_us_mean, the workload, its
// pace, the machines, verify, and the timeline as `intervals`. Of several: `steps`, each with the
// figures, and `peak`. Times are of requests that were answered OK; what has no value is null.
nlohmann::ordered_json LoadReportJson(const LoadReport& report);

// The timeline of one load, or a line for each of several; the same columns.
std::string LoadReportCsv(const LoadReport& report);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_LOAD_LOAD_REPORT_H_
