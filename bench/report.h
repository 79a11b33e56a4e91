#ifndef QKSERVE_BENCH_REPORT_H_
#define QKSERVE_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/contenders.h"
#include "bench/statistics.h"

namespace qkserve::bench {

// What the figures were taken on.
struct Machine {
  std::string cpu;  // model name
  int cpus = 0;     // usable
  std::string kernel;
  std::string blas_version;
  std::string grpc_version;
};
Machine DescribeMachine();

// A figure that the project promises, from one workload.
struct Target {
  std::string workload;
  std::string what;
  double limit = 0;
  Ratio value;

  bool Met() const { return value.ratio <= limit; }
};
// Those that the measured workloads have.
std::vector<Target> EvaluateTargets(const std::vector<WorkloadResult>& results);

// To standard output.
void PrintMachine(const Machine& machine, const RoundOptions& options);
void PrintWorkload(const WorkloadResult& result);
void PrintTargets(const std::vector<Target>& targets);

// Everything that is printed, and the value of every round.
// Errors: `path` cannot be written.
absl::Status WriteJson(const std::string& path, const Machine& machine, const RoundOptions& options,
                       const std::vector<WorkloadResult>& results);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_REPORT_H_
