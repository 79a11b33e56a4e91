#ifndef QKSERVE_BENCH_RESULT_PAGE_H_
#define QKSERVE_BENCH_RESULT_PAGE_H_

#include <string>
#include <vector>

#include "bench/report.h"

namespace qkserve::bench {

// Returns an HTML page of the results of this directory's programs. A result is the JSON that
// inline_bench, resident_bench or peers.py writes, or the JSON of Google Benchmark for
// kernel_bench. A contender has the same colour in all charts. `when` says when the results were
// measured, and on which version.
//
// Throws Json::exception if a result is none of these.
std::string ResultPage(const std::vector<Json>& results, const std::string& when);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESULT_PAGE_H_
