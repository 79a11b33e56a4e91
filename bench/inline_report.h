#ifndef QKSERVE_BENCH_INLINE_REPORT_H_
#define QKSERVE_BENCH_INLINE_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/inline_comparison.h"
#include "bench/report.h"

namespace qkserve::bench {

// Those that the measured workloads have.
std::vector<Target> EvaluateTargets(const std::vector<InlineResult>& results);

// To standard output.
void PrintWorkload(const InlineResult& result);

// Everything that is printed, and the value of every round.
// Errors: `path` cannot be written.
absl::Status WriteInlineJson(const std::string& path, const Machine& machine,
                             const RoundOptions& options, const std::vector<InlineResult>& results);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_INLINE_REPORT_H_
