#ifndef QKSERVE_BENCH_INLINE_COMPARISON_H_
#define QKSERVE_BENCH_INLINE_COMPARISON_H_

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

inline constexpr absl::string_view kStockName = "stock, 1 thread";
inline constexpr absl::string_view kInProcessName = "in process";

// Returns echo, qkserve, and stock with one thread for each call. If there are several CPUs, adds a
// stock that uses all CPUs for each call. It answers one request at a time and is measured with one
// caller only.
std::vector<ContenderCommand> InlineContenders(const ProgramPaths& paths);

struct InlineResult {
  BenchWorkload workload;
  std::string kernel;                      // kernel of qkserve, from its receipts
  std::vector<LatencySamples> one_caller;  // the servers, and the call in this process
  std::vector<ThroughputSamples> many_callers;
};

// Checks the scores of all contenders that compute, then measures. INTERNAL: a score is wrong.
// Other errors are the first error of a call.
absl::StatusOr<InlineResult> CompareInline(const BenchWorkload& workload,
                                           absl::Span<const Contender> contenders,
                                           const RoundOptions& options);

// Returns the targets of the measured workloads.
std::vector<Target> EvaluateTargets(const std::vector<InlineResult>& results);

// Prints the result to standard output.
void PrintWorkload(const InlineResult& result);

// Returns everything that is printed, and the values of each round.
Json ToJson(const InlineResult& result);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_INLINE_COMPARISON_H_
