#ifndef QKSERVE_BENCH_RESULT_PAGE_H_
#define QKSERVE_BENCH_RESULT_PAGE_H_

#include <string>
#include <vector>

#include "bench/report.h"

namespace qkserve::bench {

// A page (HTML) of the results of this directory's programs: the JSON that inline_bench,
// resident_bench and peers.py write, and that of Google Benchmark for kernel_bench. A contender has
// the same colour in all charts. `when` says when and of which version they were measured.
//
// Throws Json::exception if a result is none of these.
std::string ResultPage(const std::vector<Json>& results, const std::string& when);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESULT_PAGE_H_
