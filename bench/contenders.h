#ifndef QKSERVE_BENCH_CONTENDERS_H_
#define QKSERVE_BENCH_CONTENDERS_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bench/child_process.h"
#include "bench/measurement.h"
#include "bench/workload.h"

namespace qkserve::bench {

// CPUs that this process may run on.
int UsableCpus();

// A server of the comparison, in its own process.
struct Contender {
  std::string name;
  bool computes = true;                 // false: its replies are no scores
  bool serves_many = true;              // takes part with many callers
  std::unique_ptr<ChildServer> server;  // outlives `remote`
  std::unique_ptr<Remote> remote;
};

inline constexpr absl::string_view kEchoName = "echo";
inline constexpr absl::string_view kQkserveName = "qkserve";
inline constexpr absl::string_view kStockName = "stock, 1 thread";

// Echo, qkserve, stock with one thread a call and, where there are several CPUs, stock with all of
// them a call. The last one answers one request at a time and is measured with one caller only.
//
// bench_path, qkserve_path: the programs. First call EnsureBlasKernel: children inherit its choice.
// DEADLINE_EXCEEDED, ABORTED: a server did not start.
absl::StatusOr<std::vector<Contender>> StartContenders(const std::string& bench_path,
                                                       const std::string& qkserve_path);

// OK where all ended in order.
absl::Status StopContenders(std::vector<Contender>& contenders);

// One row of the comparison with one caller.
struct LatencyResult {
  std::string name;
  LatencySamples samples;
};

struct ThroughputResult {
  std::string name;
  ThroughputSamples samples;
};

struct WorkloadResult {
  Workload workload;
  std::string kernel;                     // of qkserve, from its receipts
  std::vector<LatencyResult> one_caller;  // the servers, and the call in this process
  std::vector<ThroughputResult> many_callers;
};

inline constexpr absl::string_view kInProcessName = "in process";

// The result called `name`; there must be one.
template <typename Result>
const Result& ResultOf(const std::vector<Result>& results, absl::string_view name) {
  for (const Result& result : results) {
    if (result.name == name) return result;
  }
  std::abort();
}

// Checks the scores of all that compute, then measures.
// INTERNAL: a score is wrong. Otherwise the first error of a call.
absl::StatusOr<WorkloadResult> Compare(const Workload& workload,
                                       const std::vector<Contender>& contenders,
                                       const RoundOptions& options);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_CONTENDERS_H_
