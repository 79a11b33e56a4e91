#ifndef QKSERVE_BENCH_REPORT_H_
#define QKSERVE_BENCH_REPORT_H_

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bench/contender.h"
#include "bench/measurement.h"
#include "bench/statistics.h"
#include "bench/workload.h"

// Parts of the reports of all comparisons.

namespace qkserve::bench {

using Json = nlohmann::ordered_json;

// Describes the machine that was measured: "cpu", "cpus" (the usable ones), "kernel", "blas" and
// "grpc".
Json DescribeMachine();

// A promised limit of a figure, with the value that one workload gave.
struct Target {
  enum class Limit { kAtMost, kAtLeast };

  std::string workload;
  std::string what;
  Limit limit = Limit::kAtMost;
  double bound = 0;
  Ratio value;

  bool Met() const { return limit == Limit::kAtMost ? value.ratio <= bound : value.ratio >= bound; }
};

// These return texts like "1.5 KB", "123.4 us" and "0.95 [0.93-0.97]".
std::string BytesText(double bytes);
std::string TimeText(double microseconds);
std::string RatioText(const Ratio& ratio);

// Returns the rate of `samples` divided by the rate of the contender `name` in `all`.
Ratio RateTo(absl::string_view name, const ThroughputSamples& samples,
             const std::vector<ThroughputSamples>& all);

// Prints the machine and, if given, the options to standard output.
void PrintMachine(const Json& machine);
void PrintMachine(const Json& machine, const RoundOptions& options);
// Prints rows in columns, as TextTable does. The first row names the columns. The first column is
// aligned to the left, the others to the right.
void PrintTable(const std::vector<std::vector<std::string>>& rows);
// Prints the mean number of requests in a batch of qkserve.
void PrintRequestsABatch(const std::vector<ThroughputSamples>& all);
// Prints each target and whether it is met.
void PrintTargets(absl::Span<const Target> targets);

Json ToJson(const Ratio& ratio);
Json ToJson(const ThroughputSamples& samples);

// Writes the report to `path`. Returns an error if the file cannot be written.
absl::Status WriteJson(const std::string& path, const Json& machine, const RoundOptions& options,
                       Json workloads, absl::Span<const Target> targets);

// Measures the workloads one after the other. Prints each result when it is measured, and the
// targets at the end. Writes everything to the file `json` unless `json` is "". `compare` returns a
// StatusOr of a workload's result. PrintWorkload, EvaluateTargets and ToJson must exist for the
// result's type.
template <class Compare>
absl::Status CompareAndReport(const Compare& compare, const std::vector<std::string>& names,
                              const std::vector<Contender>& contenders, const RoundOptions& options,
                              const std::string& json) {
  const Json machine = DescribeMachine();
  PrintMachine(machine, options);
  using Result = typename decltype(compare(WorkloadCalled(""), contenders, options))::value_type;
  std::vector<Result> results;
  for (const std::string& name : names) {
    auto result = compare(WorkloadCalled(name), contenders, options);
    if (!result.ok()) {
      return absl::Status(result.status().code(),
                          absl::StrCat(name, ": ", result.status().message()));
    }
    PrintWorkload(*result);
    std::fflush(stdout);
    results.push_back(*std::move(result));
  }
  const std::vector<Target> targets = EvaluateTargets(results);
  PrintTargets(targets);
  if (json.empty()) return absl::OkStatus();
  Json workloads = Json::array();
  for (const auto& result : results) workloads.push_back(ToJson(result));
  return WriteJson(json, machine, options, std::move(workloads), targets);
}

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_REPORT_H_
