#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/inline_comparison.h"

namespace qkserve::bench {
namespace {

constexpr double kComputedLimit = 1.10;
constexpr double kLatencyLimit = 1.25;

Ratio LatencyRatio(const LatencySamples& a, const LatencySamples& b) {
  return CompareRounds(Median(a.latency_us), Median(b.latency_us), a.round_latency_us,
                       b.round_latency_us);
}

// Returns the ratio of the server's computing time to the time of one OpenBLAS call on all CPUs.
Ratio ComputedRatio(const InlineResult& result) {
  const LatencySamples& served = SamplesOf(kQkserveName, result.one_caller);
  const LatencySamples& in_process = SamplesOf(kInProcessName, result.one_caller);
  return CompareRounds(Median(served.computed_us), Median(in_process.latency_us),
                       served.round_computed_us, in_process.round_latency_us);
}

void PrintOneCaller(const InlineResult& result) {
  const LatencySamples& echo = SamplesOf(kEchoName, result.one_caller);
  std::vector<std::vector<std::string>> rows = {
      {"one caller", "median", "10% to 90%", "latency / echo"}};
  for (const LatencySamples& row : result.one_caller) {
    const std::vector<double>& latency = row.latency_us;
    rows.push_back(
        {row.name, TimeText(Median(latency)),
         absl::StrCat(TimeText(Quantile(latency, 0.1)), " to ", TimeText(Quantile(latency, 0.9))),
         RatioText(LatencyRatio(row, echo))});
  }
  PrintTable(rows);
  const LatencySamples& served = SamplesOf(kQkserveName, result.one_caller);
  absl::PrintF("qkserve: queued %s, computed %s, computed / in process %s\n",
               TimeText(Median(served.queued_us)), TimeText(Median(served.computed_us)),
               RatioText(ComputedRatio(result)));
}

void PrintManyCallers(const InlineResult& result) {
  std::vector<std::vector<std::string>> rows = {{absl::StrCat(result.workload.callers, " callers"),
                                                 "requests/s", "rate / echo", "rate / stock"}};
  for (const ThroughputSamples& row : result.many_callers) {
    rows.push_back({row.name, absl::StrFormat("%.0f", Median(row.round_requests_per_s)),
                    RatioText(RateTo(kEchoName, row, result.many_callers)),
                    RatioText(RateTo(kStockName, row, result.many_callers))});
  }
  absl::PrintF("\n");
  PrintTable(rows);
  PrintRequestsABatch(result.many_callers);
}

Json ToJson(const LatencySamples& row, const InlineResult& result) {
  Json json = {
      {"name", row.name},
      {"requests", row.latency_us.size()},
      {"latency_us_median", Median(row.latency_us)},
      {"latency_us_p10", Quantile(row.latency_us, 0.1)},
      {"latency_us_p90", Quantile(row.latency_us, 0.9)},
      {"latency_us_p99", Quantile(row.latency_us, 0.99)},
      {"latency_to_echo", ToJson(LatencyRatio(row, SamplesOf(kEchoName, result.one_caller)))},
      {"round_latency_us", row.round_latency_us}};
  if (row.name == kQkserveName) {
    json["queued_us_median"] = Median(row.queued_us);
    json["computed_us_median"] = Median(row.computed_us);
    json["computed_to_in_process"] = ToJson(ComputedRatio(result));
    json["round_computed_us"] = row.round_computed_us;
  }
  return json;
}

}  // namespace

std::vector<Target> EvaluateTargets(const std::vector<InlineResult>& results) {
  std::vector<Target> targets;
  for (const InlineResult& result : results) {
    const std::string& name = result.workload.name;
    if (name == "inline-square") {
      targets.push_back({name, "computed / cblas_sgemm", Target::Limit::kAtMost, kComputedLimit,
                         ComputedRatio(result)});
    } else if (name == "tiny" || name == "inline-small") {
      targets.push_back({name, "latency / echo", Target::Limit::kAtMost, kLatencyLimit,
                         LatencyRatio(SamplesOf(kQkserveName, result.one_caller),
                                      SamplesOf(kEchoName, result.one_caller))});
    }
  }
  return targets;
}

void PrintWorkload(const InlineResult& result) {
  const BenchWorkload& workload = result.workload;
  const auto floats = [](int64_t count) { return BytesText(4.0 * static_cast<double>(count)); };
  absl::PrintF("\n%s: n=%d m=%d d=%d, request %s, reply %s\n", workload.name, workload.n,
               workload.m, workload.d, floats((workload.n + workload.m) * workload.d),
               floats(workload.n * workload.m));
  PrintOneCaller(result);
  PrintManyCallers(result);
}

Json ToJson(const InlineResult& result) {
  const BenchWorkload& workload = result.workload;
  Json json = {{"name", workload.name},
               {"n", workload.n},
               {"m", workload.m},
               {"d", workload.d},
               {"concurrency", workload.callers},
               {"kernel", result.kernel},
               {"one_caller", Json::array()},
               {"many_callers", Json::array()}};
  for (const LatencySamples& row : result.one_caller) {
    json["one_caller"].push_back(ToJson(row, result));
  }
  for (const ThroughputSamples& row : result.many_callers) {
    Json& contender = json["many_callers"].emplace_back(ToJson(row));
    contender["rate_to_echo"] = ToJson(RateTo(kEchoName, row, result.many_callers));
    contender["rate_to_stock"] = ToJson(RateTo(kStockName, row, result.many_callers));
  }
  return json;
}

}  // namespace qkserve::bench
