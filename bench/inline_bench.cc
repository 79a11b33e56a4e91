// inline_bench: qkserve on inline keys beside its baselines, interleaved in one run. See README.md.

#include <string>

#include "absl/flags/flag.h"
#include "bench/inline_baseline.h"
#include "bench/inline_comparison.h"
#include "bench/inline_report.h"
#include "bench/program.h"
#include "bench/workload.h"

ABSL_FLAG(int, blas_threads, 1, "With --role=stock: threads of one OpenBLAS call.");

namespace qkserve::bench {
namespace {

Program InlineBench() {
  Program program;
  program.name = "inline_bench";
  program.about = "Measures qkserve on inline keys beside its baselines.";
  program.source = "bench/inline_bench.cc";
  for (const BenchWorkload& workload : InlineWorkloads()) {
    program.workloads.push_back(workload.name);
  }
  program.roles = {"echo", "stock"};
  program.contenders = InlineContenders;
  program.compare = [](const auto&... all) { return CompareAndReport(CompareInline, all...); };
  program.serve = [](const std::string& role, const std::string& port_file) {
    return ServeInlineBaseline(role == "echo" ? Baseline::kEcho : Baseline::kStock,
                               absl::GetFlag(FLAGS_blas_threads), port_file);
  };
  return program;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  return qkserve::bench::RunProgram(qkserve::bench::InlineBench(), argc, argv);
}
