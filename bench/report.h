#ifndef QKSERVE_BENCH_REPORT_H_
#define QKSERVE_BENCH_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bench/measurement.h"
#include "bench/statistics.h"

// What the reports of all comparisons share.

namespace qkserve::bench {

using Json = nlohmann::ordered_json;

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
  enum class Limit { kAtMost, kAtLeast };

  std::string workload;
  std::string what;
  Limit limit = Limit::kAtMost;
  double bound = 0;
  Ratio value;

  bool Met() const { return limit == Limit::kAtMost ? value.ratio <= bound : value.ratio >= bound; }
};

// "1.5 KB"; "123.4 us"; "0.95 [0.93-0.97]".
std::string BytesText(double bytes);
std::string TimeText(double microseconds);
std::string RatioText(const Ratio& ratio);

// Requests/s of `a` to those of `b`.
Ratio ThroughputRatio(const ThroughputSamples& a, const ThroughputSamples& b);

// To standard output.
void PrintMachine(const Machine& machine, const RoundOptions& options);
void PrintTargets(absl::Span<const Target> targets);

Json ToJson(const Ratio& ratio);
Json ToJson(const ThroughputSamples& samples);

// Errors: `path` cannot be written.
absl::Status WriteJson(const std::string& path, const Machine& machine, const RoundOptions& options,
                       Json workloads, absl::Span<const Target> targets);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_REPORT_H_
