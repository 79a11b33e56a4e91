#ifndef QKSERVE_BENCH_RESIDENT_REPORT_H_
#define QKSERVE_BENCH_RESIDENT_REPORT_H_

#include <vector>

#include "bench/report.h"
#include "bench/resident_comparison.h"

namespace qkserve::bench {

// Those that the measured workloads have.
std::vector<Target> EvaluateTargets(const std::vector<ResidentResult>& results);

// To standard output.
void PrintWorkload(const ResidentResult& result);

// Everything that is printed, and the value of every round.
Json ToJson(const ResidentResult& result);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_REPORT_H_
