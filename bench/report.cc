#include "bench/report.h"

#include <grpcpp/grpcpp.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/host.h"
#include "core/kernels/blas.h"
#include "tools/report/text_table.h"

namespace qkserve::bench {
namespace {

absl::string_view Sign(Target::Limit limit) {
  return limit == Target::Limit::kAtMost ? "<=" : ">=";
}

Json ToJson(const Target& target) {
  return {{"workload", target.workload},
          {"what", target.what},
          {target.limit == Target::Limit::kAtMost ? "at_most" : "at_least", target.bound},
          {"value", ToJson(target.value)},
          {"met", target.Met()}};
}

}  // namespace

Json DescribeMachine() {
  const std::string cpu = CpuName();
  return {{"cpu", cpu.empty() ? "unknown" : cpu},
          {"cpus", UsableCpus()},
          {"kernel", BlasKernelName()},
          {"blas", BlasVersion()},
          {"grpc", grpc::Version()}};
}

std::string BytesText(double bytes) {
  if (bytes >= 1e6) return absl::StrFormat("%.1f MB", bytes / 1e6);
  if (bytes >= 1e3) return absl::StrFormat("%.1f KB", bytes / 1e3);
  return absl::StrFormat("%.0f B", bytes);
}

std::string TimeText(double microseconds) {
  if (microseconds >= 1e4) return absl::StrFormat("%.2f ms", microseconds / 1e3);
  return absl::StrFormat("%.1f us", microseconds);
}

std::string RatioText(const Ratio& ratio) {
  // Both quartiles are 1 if a contender is compared with itself.
  if (ratio.lower_quartile == 1 && ratio.upper_quartile == 1) return "1";
  // A single round has no quartiles.
  if (ratio.lower_quartile == ratio.upper_quartile) return absl::StrFormat("%.2f", ratio.ratio);
  return absl::StrFormat("%.2f [%.2f-%.2f]", ratio.ratio, ratio.lower_quartile,
                         ratio.upper_quartile);
}

Ratio RateTo(absl::string_view name, const ThroughputSamples& samples,
             const std::vector<ThroughputSamples>& all) {
  const std::vector<double>& rates = samples.round_requests_per_s;
  const std::vector<double>& others = SamplesOf(name, all).round_requests_per_s;
  return CompareRounds(Median(rates), Median(others), rates, others);
}

void PrintMachine(const Json& machine) {
  const auto text = [&machine](const char* key) { return machine.at(key).get<std::string>(); };
  const std::string what =
      absl::StrCat(text("cpu"), ", ", machine.at("cpus").dump(), " CPUs, kernel ", text("kernel"),
                   ", ", text("blas"), ", gRPC ", text("grpc"));
  absl::PrintF("%s\n", WrapText(what, 2));
}

void PrintMachine(const Json& machine, const RoundOptions& options) {
  PrintMachine(machine);
  absl::PrintF(
      "%d rounds; in each, every contender has a turn of %s, in an order drawn anew.\n"
      "Ratios are of medians; in brackets the quartiles of the ratio round by round.\n",
      options.rounds, absl::FormatDuration(options.turn));
}

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<TextAlign> columns(rows.at(0).size(), TextAlign::kRight);
  columns[0] = TextAlign::kLeft;
  std::fputs(TextTable(columns, rows).c_str(), stdout);
}

void PrintRequestsABatch(const std::vector<ThroughputSamples>& all) {
  absl::PrintF("qkserve: %.1f requests a batch\n",
               RequestsABatch(SamplesOf(kQkserveName, all).batch_requests));
}

void PrintTargets(absl::Span<const Target> targets) {
  if (targets.empty()) return;
  absl::PrintF("\nTargets\n");
  std::vector<std::vector<std::string>> rows;
  for (const Target& target : targets) {
    rows.push_back({target.workload, target.what,
                    absl::StrFormat("%s %g", Sign(target.limit), target.bound),
                    RatioText(target.value), target.Met() ? "met" : "missed"});
  }
  PrintTable(rows);
}

Json ToJson(const Ratio& ratio) {
  return {{"ratio", ratio.ratio},
          {"lower_quartile", ratio.lower_quartile},
          {"upper_quartile", ratio.upper_quartile}};
}

Json ToJson(const ThroughputSamples& samples) {
  return {{"requests_per_s_median", Median(samples.round_requests_per_s)},
          {"latency_us_p50", Median(samples.latency_us)},
          {"latency_us_p99", Quantile(samples.latency_us, 0.99)},
          {"server_cpu_us_per_request", Median(samples.round_server_cpu_us)},
          {"client_cpu_us_per_request", Median(samples.round_client_cpu_us)},
          {"batch_requests_mean", RequestsABatch(samples.batch_requests)},
          {"round_requests_per_s", samples.round_requests_per_s},
          {"name", samples.name}};
}

absl::Status WriteJson(const std::string& path, const Json& machine, const RoundOptions& options,
                       Json workloads, absl::Span<const Target> targets) {
  Json json = {{"machine", machine},
               {"rounds", options.rounds},
               {"seconds_per_turn", absl::ToDoubleSeconds(options.turn)},
               {"workloads", std::move(workloads)},
               {"targets", Json::array()}};
  for (const Target& target : targets) json["targets"].push_back(ToJson(target));
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.close();
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

}  // namespace qkserve::bench
