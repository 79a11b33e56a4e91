#include "bench/result_page.h"

#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "bench/statistics.h"
#include "qkserve/tensor.h"
#include "tools/report/chart.h"
#include "tools/report/html_page.h"

namespace qkserve::bench {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string Callers(int callers) {
  return callers == 1 ? "one caller" : absl::StrCat(callers, " callers");
}

// Returns NaN for null, which JSON has in place of NaN.
double Number(const Json& json, const char* key) {
  const Json& value = json.at(key);
  return value.is_null() ? std::nan("") : value.get<double>();
}

std::string Text(const Json& json, const char* key) { return json.at(key); }

// Returns "-" for a ratio that the run does not have, because the other contender was left out.
std::string RatioText(const Json& ratio) {
  for (const char* const key : {"ratio", "lower_quartile", "upper_quartile"}) {
    if (!ratio.at(key).is_number()) return "-";
  }
  return bench::RatioText(
      {Number(ratio, "ratio"), Number(ratio, "lower_quartile"), Number(ratio, "upper_quartile")});
}

std::string Milliseconds(double us) { return UnitText(us / 1e3, Unit::kMilliseconds); }

std::string WholeNumber(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.0f", value) : "-";
}

// Returns the colour of a contender, which is the same in all charts.
size_t ColorOf(absl::string_view name) {
  static constexpr std::pair<absl::string_view, size_t> kColors[] = {
      {"qkserve", 0}, {"baseline", 1}, {"stock", 1}, {"in process", 2}, {"NumPy", 3}, {"Faiss", 4}};
  constexpr size_t kGrey = 5;  // echo, which computes nothing
  for (const auto& [beginning, color] : kColors) {
    if (absl::StartsWith(name, beginning)) return color;
  }
  return kGrey;
}

NamedBars::Bar RateBar(const std::string& name, double rate) {
  return {name, rate, UnitText(rate, Unit::kPerSecond), ColorOf(name)};
}

// Adds a chart and table rows of `contenders` for one number of callers.
void AddThroughput(const std::string& workload, const Json& contenders, const std::string& callers,
                   std::vector<NamedBars>& charts, Rows& rows) {
  NamedBars& chart = charts.emplace_back();
  chart.title = absl::StrCat(workload, ", ", callers, ": requests/s");
  for (const Json& row : contenders) {
    const std::string name = row.at("name");
    const double rate = Number(row, "requests_per_s_median");
    chart.bars.push_back(RateBar(name, rate));
    const bool is_resident = row.contains("rate_to_baseline");
    rows.push_back({absl::StrCat(name, ", ", callers), WholeNumber(rate),
                    Milliseconds(Number(row, "latency_us_p50")),
                    Milliseconds(Number(row, "latency_us_p99")),
                    RatioText(row.at(is_resident ? "rate_to_baseline" : "rate_to_stock")),
                    RatioText(row.at("rate_to_echo"))});
  }
}

std::string ShapeOf(const Json& workload) {
  const int key_sets = workload.value("key_sets", 1);
  return absl::StrCat("n=", workload.at("n").dump(), " m=", workload.at("m").dump(),
                      " d=", workload.at("d").dump(),
                      key_sets > 1 ? absl::StrCat(", ", key_sets, " key sets") : "");
}

void AddWorkload(const Json& workload, HtmlPage& page) {
  const std::string name = workload.at("name");
  std::vector<NamedBars> charts;
  Rows rows;
  if (workload.contains("comparisons")) {
    for (const Json& comparison : workload.at("comparisons")) {
      AddThroughput(name, comparison.at("contenders"), Callers(comparison.at("callers")), charts,
                    rows);
    }
  } else if (workload.contains("one_caller")) {
    NamedBars& latencies = charts.emplace_back();
    latencies.title = absl::StrCat(name, ", one caller: median latency (less is better)");
    for (const Json& row : workload.at("one_caller")) {
      const double us = Number(row, "latency_us_median");
      const std::string contender = Text(row, "name");
      latencies.bars.push_back({contender, us, Milliseconds(us), ColorOf(contender)});
    }
    AddThroughput(name, workload.at("many_callers"), Callers(workload.at("concurrency")), charts,
                  rows);
  }
  page.AddHeading(absl::StrCat(name, ": ", ShapeOf(workload)));
  page.AddBars(charts);
  page.AddTable({"contender", "requests/s", "p50", "p99", "rate / baseline", "rate / echo"}, rows);
}

// Adds the targets of all results.
void AddTargets(const std::vector<Json>& results, HtmlPage& page) {
  std::vector<Json> targets;
  for (const Json& result : results) {
    if (!result.contains("targets")) continue;
    targets.insert(targets.end(), result.at("targets").begin(), result.at("targets").end());
  }
  std::vector<HtmlPage::Verdict> rows;
  size_t met = 0;
  for (const Json& target : targets) {
    const bool at_most = target.contains("at_most");
    const bool is_met = target.at("met");
    met += is_met ? 1 : 0;
    rows.push_back({{absl::StrCat(Text(target, "workload"), ": ", Text(target, "what")),
                     absl::StrFormat("%s %.2f", at_most ? "at most" : "at least",
                                     Number(target, at_most ? "at_most" : "at_least")),
                     RatioText(target.at("value"))},
                    is_met});
  }
  page.AddHeading(absl::StrCat("Targets: ", met, " of ", rows.size(), " met"));
  page.AddVerdicts({"figure", "target", "measured", ""}, rows);
}

// Returns the median time of each benchmark of Google Benchmark over its repetitions.
std::map<std::string, double> MedianTimes(const Json& benchmarks) {
  std::map<std::string, std::vector<double>> times;
  for (const Json& benchmark : benchmarks) {
    if (benchmark.value("run_type", "") != "iteration") continue;
    times[Text(benchmark, "run_name")].push_back(Number(benchmark, "real_time"));
  }
  std::map<std::string, double> medians;
  for (const auto& [name, sample] : times) medians[name] = Median(sample);
  return medians;
}

void AddKernels(const Json& benchmarks, HtmlPage& page) {
  const std::map<std::string, double> times = MedianTimes(benchmarks);
  std::vector<std::string> charts;
  for (const char* const set : {"m=10000 d=768", "m=4096 d=128"}) {
    LineChart chart = {absl::StrCat("Packed keys beside the better of sgemv and sgemm, ", set),
                       {"queries", Unit::kNone, /*logarithmic=*/true},
                       {"", Unit::kTimes, /*logarithmic=*/false, /*from_zero=*/true},
                       {}};
    chart.levels = {{1, "as fast as OpenBLAS"}};
    chart.is_one_color = true;  // all series are of qkserve
    for (const DataType type : {DataType::kFloat32, DataType::kBfloat16, DataType::kFloat16}) {
      const std::string type_name(DataTypeName(type));
      LineChart::Series series = {absl::AsciiStrToLower(type_name), {}};
      for (const int n : {1, 4, 16, 64, 256, 1024}) {
        const auto time = [&](const std::string& contender) {
          const auto found = times.find(absl::StrCat(set, " n=", n, " ", contender));
          return found == times.end() ? std::nan("") : found->second;
        };
        const double blas = std::fmin(time("sgemv"), time("sgemm"));
        series.points.emplace_back(n, blas / time(absl::StrCat("matrix ", type_name)));
      }
      chart.series.push_back(std::move(series));
    }
    charts.push_back(ChartSvg(chart));
  }
  page.AddHeading("Kernels, one thread");
  page.AddCharts(charts);
}

void AddPeers(const Json& result, HtmlPage& page) {
  const std::string what = absl::StrCat("top ", result.at("top_k").dump(), " of ",
                                        result.at("m").dump(), " keys, d=", result.at("d").dump());
  std::map<int, NamedBars> charts;
  Rows rows;
  for (const Json& row : result.at("results")) {
    const int callers = row.at("at_a_time");
    const std::string name = row.at("contender");
    const double rate = Median(row.at("queries_per_s").get<std::vector<double>>());
    const std::string at_a_time = absl::StrCat(callers, " at a time");
    charts[callers].title = absl::StrCat(at_a_time, ": queries/s");
    charts[callers].bars.push_back(RateBar(name, rate));
    rows.push_back({absl::StrCat(name, ", ", at_a_time), WholeNumber(rate),
                    UnitText(Number(row, "qkserve_ratio"), Unit::kTimes)});
  }
  std::vector<NamedBars> in_order;
  in_order.reserve(charts.size());
  for (auto& [callers, chart] : charts) in_order.push_back(std::move(chart));
  page.AddHeading(absl::StrCat("Beside NumPy and Faiss in process: ", what));
  page.AddBars(in_order);
  page.AddTable({"contender", "queries/s", "qkserve / contender"}, rows);
}

void AddResult(const Json& result, HtmlPage& page) {
  if (result.contains("benchmarks")) {
    AddKernels(result.at("benchmarks"), page);
  } else if (result.contains("results")) {
    AddPeers(result, page);
  } else {
    for (const Json& workload : result.at("workloads")) AddWorkload(workload, page);
  }
}

std::string MachineOf(const std::vector<Json>& results) {
  for (const Json& result : results) {
    if (!result.contains("machine")) continue;
    const Json& machine = result.at("machine");
    return absl::StrCat(Text(machine, "cpu"), ", ", machine.at("cpus").dump(), " CPUs, ",
                        Text(machine, "blas"), " with kernel ", Text(machine, "kernel"), ", gRPC ",
                        Text(machine, "grpc"));
  }
  return "";
}

}  // namespace

std::string ResultPage(const std::vector<Json>& results, const std::string& when) {
  HtmlPage page("qkserve beside its baselines", absl::StrCat(when, ". ", MachineOf(results)));
  page.AddParagraph(
      "Contenders take turns in one run. Ratios are of medians over all rounds; in brackets the "
      "quartiles of the ratio round by round. bench/README.md says what each contender is.");
  AddTargets(results, page);
  for (const Json& result : results) AddResult(result, page);
  return page.Html();
}

}  // namespace qkserve::bench
