#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/resident_comparison.h"
#include "tools/report/text_table.h"

namespace qkserve::bench {
namespace {

constexpr double kAloneLimit = 0.95;

// Returns the promised ratio to the baseline's rate with many callers. 0: nothing is promised.
double ManyCallersLimit(absl::string_view workload) {
  if (workload == "resident-top") return 5;
  if (workload == "resident-row") return 3.5;
  return 0;
}

std::string MinMax(const std::vector<double>& values) {
  return absl::StrFormat("%.0f to %.0f", Quantile(values, 0), Quantile(values, 1));
}

std::string CallersText(int callers) {
  return callers == 1 ? "one caller" : absl::StrCat(callers, " callers");
}

std::string OutputName(const BenchWorkload& workload) {
  return v1::Output_Name(static_cast<v1::Output>(workload.output));
}

void PrintComparison(const ResidentComparison& comparison) {
  const std::string callers = CallersText(comparison.callers);
  std::vector<std::vector<std::string>> rates = {
      {callers, "requests/s", "min to max", "p50", "p99"}};
  std::vector<std::vector<std::string>> ratios = {
      {callers, "rate / baseline", "rate / echo", "server CPU", "client CPU"}};
  for (const ThroughputSamples& samples : comparison.rows) {
    rates.push_back({samples.name, absl::StrFormat("%.0f", Median(samples.round_requests_per_s)),
                     MinMax(samples.round_requests_per_s), TimeText(Median(samples.latency_us)),
                     TimeText(Quantile(samples.latency_us, 0.99))});
    ratios.push_back({samples.name, RatioText(RateTo(kBaselineName, samples, comparison.rows)),
                      RatioText(RateTo(kEchoName, samples, comparison.rows)),
                      TimeText(Median(samples.round_server_cpu_us)),
                      TimeText(Median(samples.round_client_cpu_us))});
  }
  absl::PrintF("\n");
  PrintTable(rates);
  PrintTable(ratios);
  PrintRequestsABatch(comparison.rows);
}

Json ToJson(const ResidentComparison& comparison) {
  Json json = {{"callers", comparison.callers}, {"contenders", Json::array()}};
  for (const ThroughputSamples& row : comparison.rows) {
    Json& contender = json["contenders"].emplace_back(ToJson(row));
    contender["rate_to_baseline"] = ToJson(RateTo(kBaselineName, row, comparison.rows));
    contender["rate_to_echo"] = ToJson(RateTo(kEchoName, row, comparison.rows));
  }
  return json;
}

}  // namespace

std::vector<Target> EvaluateTargets(const std::vector<ResidentResult>& results) {
  std::vector<Target> targets;
  for (const ResidentResult& result : results) {
    for (const ResidentComparison& comparison : result.comparisons) {
      const double limit =
          comparison.callers == 1 ? kAloneLimit : ManyCallersLimit(result.workload.name);
      if (limit == 0) continue;
      targets.push_back(
          {result.workload.name, absl::StrCat("rate / baseline, ", CallersText(comparison.callers)),
           Target::Limit::kAtLeast, limit,
           RateTo(kBaselineName, SamplesOf(kQkserveName, comparison.rows), comparison.rows)});
    }
  }
  return targets;
}

void PrintWorkload(const ResidentResult& result) {
  const BenchWorkload& workload = result.workload;
  std::string what =
      absl::StrFormat("%s: n=%d m=%d d=%d", workload.name, workload.n, workload.m, workload.d);
  if (workload.dv) absl::StrAppend(&what, " dv=", *workload.dv);
  absl::StrAppend(&what, ", ", OutputName(workload));
  if (workload.top_k > 0) absl::StrAppend(&what, " ", workload.top_k);
  if (workload.key_sets > 1) absl::StrAppend(&what, ", ", workload.key_sets, " key sets");
  absl::StrAppend(&what, ", qkserve's kernel ", result.kernel);
  absl::PrintF("\n%s\n", WrapText(what, 2));
  for (const ResidentComparison& comparison : result.comparisons) PrintComparison(comparison);
}

Json ToJson(const ResidentResult& result) {
  const BenchWorkload& workload = result.workload;
  Json json = {{"name", workload.name},
               {"n", workload.n},
               {"m", workload.m},
               {"d", workload.d},
               {"dv", workload.dv.value_or(0)},
               {"output", OutputName(workload)},
               {"top_k", workload.top_k},
               {"key_sets", workload.key_sets},
               {"kernel", result.kernel},
               {"comparisons", Json::array()}};
  for (const ResidentComparison& comparison : result.comparisons) {
    json["comparisons"].push_back(ToJson(comparison));
  }
  return json;
}

}  // namespace qkserve::bench
