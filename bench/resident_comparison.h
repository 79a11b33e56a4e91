#ifndef QKSERVE_BENCH_RESIDENT_COMPARISON_H_
#define QKSERVE_BENCH_RESIDENT_COMPARISON_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bench/contender.h"
#include "bench/measurement.h"
#include "bench/program.h"
#include "bench/report.h"
#include "bench/workload.h"

namespace qkserve::bench {

inline constexpr absl::string_view kBaselineName = "baseline";

// Returns echo, qkserve and the baseline.
std::vector<ContenderCommand> ResidentContenders(const ProgramPaths& paths);

// The results for one number of callers, with one row for each contender.
struct ResidentComparison {
  int callers = 1;
  std::vector<ThroughputSamples> rows;
};

struct ResidentResult {
  BenchWorkload workload;
  std::string kernel;  // kernel of qkserve, from its receipts
  std::vector<ResidentComparison> comparisons;
};

// Puts the key set on all contenders, checks the answers of those that compute
// (Contender::computes), then measures. INTERNAL: an answer is wrong. Other errors are the first
// error of a call.
absl::StatusOr<ResidentResult> CompareResident(const BenchWorkload& workload,
                                               absl::Span<const Contender> contenders,
                                               const RoundOptions& options);

// Returns the targets of the measured workloads.
std::vector<Target> EvaluateTargets(const std::vector<ResidentResult>& results);

// Prints the result to standard output.
void PrintWorkload(const ResidentResult& result);

// Returns everything that is printed, and the values of each round.
Json ToJson(const ResidentResult& result);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_COMPARISON_H_
