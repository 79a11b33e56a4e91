#ifndef QKSERVE_BENCH_INLINE_REPORT_H_
#define QKSERVE_BENCH_INLINE_REPORT_H_

#include <vector>

#include "bench/inline_comparison.h"
#include "bench/report.h"

namespace qkserve::bench {

// Those that the measured workloads have.
std::vector<Target> EvaluateTargets(const std::vector<InlineResult>& results);

// To standard output.
void PrintWorkload(const InlineResult& result);

// Everything that is printed, and the value of every round.
Json ToJson(const InlineResult& result);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_INLINE_REPORT_H_
