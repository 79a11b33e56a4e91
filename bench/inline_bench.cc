// inline_bench: measures qkserve on inline keys and its baselines, interleaved in one run. See
// README.md.

#include <memory>
#include <string>

#include "bench/baseline.h"
#include "bench/inline_comparison.h"
#include "bench/program.h"
#include "bench/workload.h"

namespace qkserve::bench {
namespace {

Program InlineBench() {
  Program program;
  program.name = "inline_bench";
  program.about = "Measures qkserve on inline keys beside its baselines.";
  const auto blas_threads = std::make_shared<int>(1);
  program.add_flags = [blas_threads](Flags& flags) {
    flags.Add("blas_threads", blas_threads.get(),
              "With --role=stock: threads of one OpenBLAS call");
  };
  for (const BenchWorkload& workload : InlineWorkloads()) {
    program.workloads.push_back(workload.name);
  }
  program.roles = {"echo", "stock"};
  program.contenders = InlineContenders;
  program.compare = [](const auto&... all) { return CompareAndReport(CompareInline, all...); };
  program.serve = [blas_threads](const std::string& role, const std::string& port_file) {
    return ServeInlineBaseline(role == "echo" ? Baseline::kEcho : Baseline::kStock, *blas_threads,
                               port_file);
  };
  return program;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  return qkserve::bench::RunProgram(qkserve::bench::InlineBench(), argc, argv);
}
