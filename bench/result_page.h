#ifndef QKSERVE_BENCH_RESULT_PAGE_H_
#define QKSERVE_BENCH_RESULT_PAGE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qkserve::bench {

using Json = nlohmann::ordered_json;

// A page (HTML) of the results of this directory's programs: the JSON that inline_bench,
// resident_bench and peers.py write, and that of Google Benchmark for kernel_bench. A contender has
// the same colour in all charts. `when` says when and of which version they were measured.
//
// Throws Json::exception if a result is none of these.
std::string ResultPage(const std::vector<Json>& results, const std::string& when);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESULT_PAGE_H_
