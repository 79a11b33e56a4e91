// resident_bench: measures qkserve on key sets and its baseline, interleaved in one run. See
// README.md.

#include <string>

#include "bench/baseline.h"
#include "bench/program.h"
#include "bench/resident_comparison.h"
#include "bench/workload.h"

namespace qkserve::bench {
namespace {

Program ResidentBench() {
  Program program;
  program.name = "resident_bench";
  program.about = "Measures qkserve on key sets beside its baseline.";
  for (const BenchWorkload& workload : ResidentWorkloads()) {
    program.workloads.push_back(workload.name);
  }
  program.roles = {"echo", "stock"};
  // Turns are long, because with many callers a request of the baseline takes 50 ms.
  program.rounds.rounds = 11;
  program.rounds.turn = absl::Milliseconds(500);
  program.rounds.warm_up = absl::Milliseconds(100);
  program.contenders = ResidentContenders;
  program.compare = [](const auto&... all) { return CompareAndReport(CompareResident, all...); };
  program.serve = [](const std::string& role, const std::string& port_file) {
    return ServeResidentBaseline(role == "echo" ? Baseline::kEcho : Baseline::kStock, port_file);
  };
  return program;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  return qkserve::bench::RunProgram(qkserve::bench::ResidentBench(), argc, argv);
}
