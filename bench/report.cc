#include "bench/report.h"

#include <grpcpp/grpcpp.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/attention/blas.h"

namespace qkserve::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kComputedLimit = 1.10;
constexpr double kLatencyLimit = 1.25;

double Mean(const std::vector<double>& sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "model name")) continue;
    return std::string(absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)));
  }
  return "unknown";
}

std::string Bytes(double bytes) {
  if (bytes >= 1e6) return absl::StrFormat("%.1f MB", bytes / 1e6);
  if (bytes >= 1e3) return absl::StrFormat("%.1f KB", bytes / 1e3);
  return absl::StrFormat("%.0f B", bytes);
}

std::string Time(double microseconds) {
  if (microseconds >= 1e4) return absl::StrFormat("%.2f ms", microseconds / 1e3);
  return absl::StrFormat("%.1f us", microseconds);
}

std::string RatioText(const Ratio& ratio) {
  // Beside itself: nothing to tell.
  if (ratio.lower_quartile == 1 && ratio.upper_quartile == 1) return "    1";
  return absl::StrFormat("%5.2f [%.2f-%.2f]", ratio.ratio, ratio.lower_quartile,
                         ratio.upper_quartile);
}

Ratio LatencyRatio(const LatencySamples& a, const LatencySamples& b) {
  return CompareRounds(Median(a.latency_us), Median(b.latency_us), a.round_latency_us,
                       b.round_latency_us);
}

Ratio ThroughputRatio(const ThroughputSamples& a, const ThroughputSamples& b) {
  return CompareRounds(Median(a.round_requests_per_s), Median(b.round_requests_per_s),
                       a.round_requests_per_s, b.round_requests_per_s);
}

// Time computed in the server to one call of OpenBLAS on all CPUs.
Ratio ComputedRatio(const WorkloadResult& result) {
  const LatencySamples& served = ResultOf(result.one_caller, kQkserveName).samples;
  const LatencySamples& in_process = ResultOf(result.one_caller, kInProcessName).samples;
  return CompareRounds(Median(served.computed_us), Median(in_process.latency_us),
                       served.round_computed_us, in_process.round_latency_us);
}

void PrintOneCaller(const WorkloadResult& result) {
  const LatencySamples& echo = ResultOf(result.one_caller, kEchoName).samples;
  absl::PrintF("  %-20s %12s %25s   %-18s\n", "one caller", "median", "10% to 90%",
               "latency / echo");
  for (const LatencyResult& row : result.one_caller) {
    const std::vector<double>& latency = row.samples.latency_us;
    absl::PrintF("  %-20s %12s %25s   %-18s", row.name, Time(Median(latency)),
                 absl::StrCat(Time(Quantile(latency, 0.1)), " to ", Time(Quantile(latency, 0.9))),
                 RatioText(LatencyRatio(row.samples, echo)));
    if (row.name == kQkserveName) {
      absl::PrintF("  queued %s, computed %s", Time(Median(row.samples.queued_us)),
                   Time(Median(row.samples.computed_us)));
    }
    absl::PrintF("\n");
  }
  absl::PrintF("  computed / in process: %s\n", RatioText(ComputedRatio(result)));
}

void PrintManyCallers(const WorkloadResult& result) {
  const ThroughputSamples& echo = ResultOf(result.many_callers, kEchoName).samples;
  const ThroughputSamples& stock = ResultOf(result.many_callers, kStockName).samples;
  absl::PrintF("  %-20s %12s   %-18s   %-18s\n",
               absl::StrCat(result.workload.concurrency, " callers"), "requests/s", "rate / echo",
               "rate / stock");
  for (const ThroughputResult& row : result.many_callers) {
    absl::PrintF("  %-20s %12.0f   %-18s   %-18s", row.name,
                 Median(row.samples.round_requests_per_s),
                 RatioText(ThroughputRatio(row.samples, echo)),
                 RatioText(ThroughputRatio(row.samples, stock)));
    if (row.name == kQkserveName) {
      absl::PrintF("  batch of %.1f requests (mean)", Mean(row.samples.batch_requests));
    }
    absl::PrintF("\n");
  }
}

Json ToJson(const Ratio& ratio) {
  return {{"ratio", ratio.ratio},
          {"lower_quartile", ratio.lower_quartile},
          {"upper_quartile", ratio.upper_quartile}};
}

Json ToJson(const Target& target) {
  return {{"workload", target.workload},
          {"what", target.what},
          {"limit", target.limit},
          {"value", ToJson(target.value)},
          {"met", target.Met()}};
}

Json ToJson(const LatencyResult& row, const WorkloadResult& result) {
  const LatencySamples& samples = row.samples;
  Json json = {{"name", row.name},
               {"requests", samples.latency_us.size()},
               {"latency_us_median", Median(samples.latency_us)},
               {"latency_us_p10", Quantile(samples.latency_us, 0.1)},
               {"latency_us_p90", Quantile(samples.latency_us, 0.9)},
               {"latency_us_p99", Quantile(samples.latency_us, 0.99)},
               {"latency_to_echo",
                ToJson(LatencyRatio(samples, ResultOf(result.one_caller, kEchoName).samples))},
               {"round_latency_us", samples.round_latency_us}};
  if (row.name == kQkserveName) {
    json["queued_us_median"] = Median(samples.queued_us);
    json["computed_us_median"] = Median(samples.computed_us);
    json["computed_to_in_process"] = ToJson(ComputedRatio(result));
    json["round_computed_us"] = samples.round_computed_us;
  }
  return json;
}

Json ToJson(const ThroughputResult& row, const WorkloadResult& result) {
  const ThroughputSamples& samples = row.samples;
  Json json = {{"name", row.name},
               {"requests_per_s_median", Median(samples.round_requests_per_s)},
               {"rate_to_echo",
                ToJson(ThroughputRatio(samples, ResultOf(result.many_callers, kEchoName).samples))},
               {"rate_to_stock", ToJson(ThroughputRatio(
                                     samples, ResultOf(result.many_callers, kStockName).samples))},
               {"round_requests_per_s", samples.round_requests_per_s}};
  if (row.name == kQkserveName) json["batch_requests_mean"] = Mean(samples.batch_requests);
  return json;
}

Json ToJson(const WorkloadResult& result) {
  const Workload& workload = result.workload;
  Json json = {{"name", workload.name},
               {"n", workload.n},
               {"m", workload.m},
               {"d", workload.d},
               {"concurrency", workload.concurrency},
               {"kernel", result.kernel},
               {"one_caller", Json::array()},
               {"many_callers", Json::array()}};
  for (const LatencyResult& row : result.one_caller) {
    json["one_caller"].push_back(ToJson(row, result));
  }
  for (const ThroughputResult& row : result.many_callers) {
    json["many_callers"].push_back(ToJson(row, result));
  }
  return json;
}

}  // namespace

Machine DescribeMachine() {
  return {CpuModel(), UsableCpus(), BlasKernelName(), BlasVersion(), grpc::Version()};
}

std::vector<Target> EvaluateTargets(const std::vector<WorkloadResult>& results) {
  std::vector<Target> targets;
  for (const WorkloadResult& result : results) {
    const std::string& name = result.workload.name;
    if (name == "inline-square") {
      targets.push_back(
          {name, "computed / in-process cblas_sgemm", kComputedLimit, ComputedRatio(result)});
    } else if (name == "tiny" || name == "inline-small") {
      targets.push_back({name, "latency / echo", kLatencyLimit,
                         LatencyRatio(ResultOf(result.one_caller, kQkserveName).samples,
                                      ResultOf(result.one_caller, kEchoName).samples)});
    }
  }
  return targets;
}

void PrintMachine(const Machine& machine, const RoundOptions& options) {
  absl::PrintF("%s, %d CPUs, kernel %s, %s, gRPC %s\n", machine.cpu, machine.cpus, machine.kernel,
               machine.blas_version, machine.grpc_version);
  absl::PrintF(
      "%d rounds; in each, every contender has a turn of %s, in an order drawn anew.\n"
      "Ratios are of medians; in brackets the quartiles of the ratio round by round.\n",
      options.rounds, absl::FormatDuration(options.turn));
}

void PrintWorkload(const WorkloadResult& result) {
  const Workload& workload = result.workload;
  const auto floats = [](int64_t count) { return Bytes(4.0 * static_cast<double>(count)); };
  absl::PrintF("\n%s: n=%d m=%d d=%d, request %s, reply %s\n", workload.name, workload.n,
               workload.m, workload.d, floats((workload.n + workload.m) * workload.d),
               floats(workload.n * workload.m));
  PrintOneCaller(result);
  PrintManyCallers(result);
}

void PrintTargets(const std::vector<Target>& targets) {
  if (targets.empty()) return;
  absl::PrintF("\nTargets\n");
  for (const Target& target : targets) {
    absl::PrintF("  %-14s %-34s <= %.2f: %s  %s\n", target.workload, target.what, target.limit,
                 RatioText(target.value), target.Met() ? "met" : "missed");
  }
}

absl::Status WriteJson(const std::string& path, const Machine& machine, const RoundOptions& options,
                       const std::vector<WorkloadResult>& results) {
  Json json = {{"machine",
                {{"cpu", machine.cpu},
                 {"cpus", machine.cpus},
                 {"kernel", machine.kernel},
                 {"blas", machine.blas_version},
                 {"grpc", machine.grpc_version}}},
               {"rounds", options.rounds},
               {"seconds_per_turn", absl::ToDoubleSeconds(options.turn)},
               {"workloads", Json::array()},
               {"targets", Json::array()}};
  for (const WorkloadResult& result : results) json["workloads"].push_back(ToJson(result));
  for (const Target& target : EvaluateTargets(results)) json["targets"].push_back(ToJson(target));
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.close();
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

}  // namespace qkserve::bench
