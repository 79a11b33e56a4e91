// bench_page: results of the programs of this directory, as the JSON that they write, on one page.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/flags.h"
#include "bench/statistics.h"
#include "tools/report/chart.h"
#include "tools/report/html_page.h"

namespace qkserve::bench {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

std::string Callers(int callers) {
  return callers == 1 ? "one caller" : absl::StrCat(callers, " callers");
}

double Number(const Json& json, const char* key) { return json.at(key); }
std::string Text(const Json& json, const char* key) { return json.at(key); }

std::string Ratio(const Json& ratio) {
  return absl::StrFormat("%.2f [%.2f-%.2f]", Number(ratio, "ratio"),
                         Number(ratio, "lower_quartile"), Number(ratio, "upper_quartile"));
}

std::string Milliseconds(double us) { return absl::StrFormat("%.3g ms", us / 1e3); }

// Adds a contender's requests/s to the class `index` of the chart.
void AddBar(BarChart& chart, const std::string& name, size_t index, double value) {
  auto series = std::find_if(chart.series.begin(), chart.series.end(),
                             [&name](const auto& other) { return other.name == name; });
  if (series == chart.series.end()) {
    chart.series.push_back({name, std::vector<double>(chart.classes.size())});
    series = chart.series.end() - 1;
  }
  series->values[index] = value;
}

// Adds the `contenders` for one number of callers. The chart has a class for that number already.
void AddThroughput(const Json& contenders, const std::string& callers, BarChart& chart,
                   Rows& rows) {
  chart.classes.push_back(callers);
  for (auto& series : chart.series) series.values.resize(chart.classes.size());
  for (const Json& row : contenders) {
    const std::string name = row.at("name");
    const double rate = row.at("requests_per_s_median");
    AddBar(chart, name, chart.classes.size() - 1, rate);
    const bool is_resident = row.contains("rate_to_baseline");
    rows.push_back({absl::StrCat(name, ", ", callers), absl::StrFormat("%.0f", rate),
                    Milliseconds(Number(row, "latency_us_p50")),
                    Milliseconds(Number(row, "latency_us_p99")),
                    Ratio(row.at(is_resident ? "rate_to_baseline" : "rate_to_stock")),
                    Ratio(row.at("rate_to_echo"))});
  }
}

// The chart without echo, which computes nothing: beside it the others look alike.
BarChart WithoutEcho(BarChart chart) {
  absl::StrAppend(&chart.title, ", without echo");
  std::erase_if(chart.series, [](const auto& series) { return series.name == "echo"; });
  return chart;
}

std::string ShapeOf(const Json& workload) {
  const int key_sets = workload.value("key_sets", 1);
  return absl::StrCat("n=", workload.at("n").dump(), " m=", workload.at("m").dump(),
                      " d=", workload.at("d").dump(),
                      key_sets > 1 ? absl::StrCat(", ", key_sets, " key sets") : "");
}

void AddWorkload(const Json& workload, HtmlPage& page) {
  const std::string name = workload.at("name");
  BarChart rates = {absl::StrCat(name, ": requests/s"), "", "requests/s", {}, {}};
  BarChart latencies = {absl::StrCat(name, ": latency, one caller"), "", "ms", {"median"}, {}};
  Rows rows;
  if (workload.contains("comparisons")) {
    for (const Json& comparison : workload.at("comparisons")) {
      AddThroughput(comparison.at("contenders"), Callers(comparison.at("callers")), rates, rows);
    }
  } else if (workload.contains("one_caller")) {
    for (const Json& row : workload.at("one_caller")) {
      AddBar(latencies, Text(row, "name"), 0, Number(row, "latency_us_median") / 1e3);
    }
    AddThroughput(workload.at("many_callers"), Callers(workload.at("concurrency")), rates, rows);
  }
  // Echo comes last, so that the others have the same colours with and without it.
  std::stable_partition(rates.series.begin(), rates.series.end(),
                        [](const auto& series) { return series.name != "echo"; });
  page.AddHeading(absl::StrCat(name, ": ", ShapeOf(workload)));
  page.AddCharts({ChartSvg(rates), ChartSvg(WithoutEcho(rates)), ChartSvg(latencies)});
  page.AddTable({"contender", "requests/s", "p50", "p99", "rate / baseline", "rate / echo"}, rows);
}

void AddTargets(const Json& targets, HtmlPage& page) {
  Rows rows;
  for (const Json& target : targets) {
    const bool at_most = target.contains("at_most");
    const bool is_met = target.at("met");
    rows.push_back({absl::StrCat(Text(target, "workload"), ": ", Text(target, "what")),
                    absl::StrFormat("%s %.2f", at_most ? "at most" : "at least",
                                    Number(target, at_most ? "at_most" : "at_least")),
                    Ratio(target.at("value")), is_met ? "met" : "missed"});
  }
  if (rows.empty()) return;
  page.AddHeading("Targets");
  page.AddTable({"figure", "target", "measured", ""}, rows);
}

// Results of Google Benchmark: the median of the repetitions of each name.
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
    LineChart chart = {absl::StrCat("Packed keys over the better of sgemv and sgemm, ", set),
                       {"queries", /*logarithmic=*/true},
                       {"times as fast"},
                       {}};
    for (const char* const type : {"float32", "bfloat16", "float16"}) {
      LineChart::Series series = {type, {}};
      for (const int n : {1, 4, 16, 64, 256, 1024}) {
        const auto time = [&](const std::string& contender) {
          const auto found = times.find(absl::StrCat(set, " n=", n, " ", contender));
          return found == times.end() ? std::nan("") : found->second;
        };
        const double blas = std::fmin(time("sgemv"), time("sgemm"));
        series.points.emplace_back(n, blas / time(absl::StrCat("matrix ", type)));
      }
      chart.series.push_back(std::move(series));
    }
    charts.push_back(ChartSvg(chart));
  }
  page.AddHeading("Kernels, one thread");
  page.AddCharts(charts);
}

void AddPeers(const Json& result, HtmlPage& page) {
  BarChart chart = {absl::StrCat("Top ", result.at("top_k").dump(), " of ", result.at("m").dump(),
                                 " keys, d=", result.at("d").dump(), ": queries/s"),
                    "queries at a time",
                    "queries/s",
                    {"1", "64"},
                    {}};
  Rows rows;
  for (const Json& row : result.at("results")) {
    const int callers = row.at("at_a_time");
    const std::string name = row.at("contender");
    const double rate = Median(row.at("queries_per_s").get<std::vector<double>>());
    AddBar(chart, name, callers == 1 ? 0 : 1, rate);
    rows.push_back({absl::StrCat(name, ", ", callers, " at a time"), absl::StrFormat("%.0f", rate),
                    absl::StrFormat("%.2f", Number(row, "qkserve_ratio"))});
  }
  page.AddHeading("Beside NumPy and Faiss in process");
  page.AddCharts({ChartSvg(chart)});
  page.AddTable({"contender", "queries/s", "qkserve is so many times as fast"}, rows);
}

void AddResult(const Json& result, HtmlPage& page) {
  if (result.contains("benchmarks")) {
    AddKernels(result.at("benchmarks"), page);
  } else if (result.contains("results")) {
    AddPeers(result, page);
  } else {
    AddTargets(result.at("targets"), page);
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

int Main(int argc, char** argv) {
  std::string out, commit;
  std::vector<std::string> files;
  Flags flags("Draws results: bench_page --out=PAGE.html RESULT.json ...\n");
  flags.Add("out", &out, "File for the page; required");
  flags.Add("commit", &commit, "Name of the version that was measured", {.may_be_empty = true});
  flags.AddArguments("RESULT.json", &files);
  const std::optional<int> exit_code = flags.ParseMain(argc, argv, [&out] {
    return out.empty() ? absl::InvalidArgumentError("--out is required") : absl::OkStatus();
  });
  if (exit_code.has_value()) return *exit_code;
  std::vector<Json> results;
  for (const std::string& path : files) {
    std::ifstream file(path);
    Json result = Json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!result.is_object()) {
      absl::FPrintF(stderr, "error: %s: cannot be read as a result\n", path);
      return 1;
    }
    results.push_back(std::move(result));
  }
  const std::string time = absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone());
  try {
    HtmlPage page(
        "qkserve beside its baselines",
        absl::StrCat(time, commit.empty() ? "" : ", commit ", commit, ". ", MachineOf(results)));
    page.AddParagraph(
        "Contenders take turns in one run. Ratios are of medians over all rounds; in brackets the "
        "quartiles of the ratio round by round. bench/README.md says what each contender is.");
    for (const Json& result : results) AddResult(result, page);
    std::ofstream file(out);
    file << page.Html();
    file.close();
    if (file) return 0;
    absl::FPrintF(stderr, "error: cannot write %s\n", out);
  } catch (const Json::exception& error) {
    absl::FPrintF(stderr, "error: not results of this program's version: %s\n", error.what());
  }
  return 1;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) {
  try {
    return qkserve::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 1;
  }
}
