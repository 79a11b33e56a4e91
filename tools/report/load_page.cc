#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/report/chart.h"
#include "tools/report/html_page.h"
#include "tools/report/load_charts.h"
#include "tools/report/load_export.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string WorkloadText(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  std::string text = workload.name.empty() ? "" : absl::StrCat(workload.name, ": ");
  absl::StrAppendFormat(&text, "n=%d m=%d d=%d", workload.n, workload.m, workload.d);
  if (workload.dv.has_value()) absl::StrAppend(&text, " dv=", *workload.dv);
  absl::StrAppend(&text, ", ", OutputName(workload.output),
                  workload.output == Output::kTopK ? absl::StrCat(" ", workload.top_k) : "");
  if (!workload.resident) return absl::StrCat(text, ", inline keys");
  if (workload.key_sets == 1) return absl::StrCat(text, ", key set ", report.key_set);
  return absl::StrFormat("%s, %d key sets, Zipf %g", text, workload.key_sets, workload.zipf);
}

std::string Sentence(std::string text) {
  text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  return absl::StrCat(text, ".");
}

// Returns the load that the page shows in detail. This is the load at the highest rate that held
// the limit, or otherwise the last load.
const LoadResult& DetailOf(const LoadReport& report) {
  if (report.peak.has_value() && report.peak->held.has_value()) {
    const auto held = std::find_if(
        report.steps.rbegin(), report.steps.rend(),
        [&report](const LoadResult& step) { return step.options.rate_from == *report.peak->held; });
    if (held != report.steps.rend()) return *held;
  }
  return report.steps.back();
}

void AddFigures(const LoadReport& report, const LoadResult& step, HtmlPage& page) {
  const LoadCounts& counts = step.counts;
  const auto latency = [&counts](double p) {
    if (counts.ok == 0) return std::string("-");
    return UnitText(absl::ToDoubleMilliseconds(counts.response.Percentile(p)), Unit::kMilliseconds);
  };
  Pairs figures = {{UnitText(step.RequestsPerSecond(), Unit::kPerSecond), "answered OK"},
                   {UnitText(step.GoodputPerSecond(), Unit::kPerSecond), "goodput"},
                   {latency(50), "response time p50"},
                   {latency(99), "response time p99"},
                   {latency(99.9), "response time p99.9"},
                   {absl::StrCat(counts.Errors()), "requests failed"}};
  if (step.options.concurrency == 0) {
    figures.emplace_back(absl::StrFormat("%d of %d", counts.sent, counts.Due()),
                         "requests sent of those due");
  }
  if (report.verify.has_value()) {
    figures.emplace_back(absl::StrCat(report.verify->result.wrong),
                         report.is_series ? "wrong answers in all loads" : "wrong answers");
  }
  page.AddFigures(figures);
}

void AddSteps(const std::vector<LoadResult>& steps, HtmlPage& page) {
  std::vector<std::vector<std::string>> rows;
  for (const LoadResult& step : steps) {
    const LoadInterval whole = step.Whole();
    const auto latency = [&whole](absl::Duration duration) {
      return whole.ok == 0 ? std::string("-")
                           : absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(duration));
    };
    rows.push_back({absl::StrCat(PaceText(step.options), step.interrupted ? " (ended early)" : ""),
                    absl::StrFormat("%.1f", step.RequestsPerSecond()), latency(whole.p50),
                    latency(whole.p90), latency(whole.p99), latency(whole.p999), latency(whole.max),
                    absl::StrCat(whole.errors),
                    absl::StrFormat("%.2f", whole.batch_requests_mean)});
  }
  page.AddTable({"load", "requests/s", "p50, ms", "p90, ms", "p99, ms", "p99.9, ms", "max, ms",
                 "failed", "requests a batch"},
                rows);
}

void AddLatencies(const LoadResult& step, HtmlPage& page) {
  const LoadCounts& counts = step.counts;
  if (counts.ok == 0) return;
  const bool open = step.options.concurrency == 0;
  std::vector<std::string> header = {"percentile", open ? "response time" : "latency"};
  if (open) header.emplace_back("service time");
  header.insert(header.end(), {"queued", "computed"});
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, p] : kReportPercentiles) {
    std::vector<std::string> row = {name, MillisecondsText(counts.response.Percentile(p))};
    if (open) row.push_back(MillisecondsText(counts.service.Percentile(p)));
    row.push_back(MillisecondsText(counts.queued.Percentile(p)));
    row.push_back(MillisecondsText(counts.computed.Percentile(p)));
    rows.push_back(std::move(row));
  }
  page.AddHeading("Percentiles");
  page.AddTable(header, rows);
}

void AddErrors(const LoadReport& report, HtmlPage& page) {
  Pairs pairs;
  for (const LoadResult& step : report.steps) {
    for (const auto& [code, errors] : step.counts.errors_by_code) {
      pairs.emplace_back(
          absl::StatusCodeToString(code),
          absl::StrCat(CountText(errors.count, "request"), " at ", PaceText(step.options),
                       "; the first said: ", errors.first_message));
    }
  }
  if (pairs.empty()) return;
  page.AddHeading("Errors");
  page.AddPairs(pairs);
}

void AddConfiguration(const LoadReport& report, HtmlPage& page) {
  const LoadOptions& options = report.steps[0].options;
  const LoadMachines& machines = report.machines;
  Pairs pairs = {
      {"workload", WorkloadText(report)},
      {"load", !report.is_series
                   ? PaceText(options)
                   : absl::StrCat(report.steps.size(), " loads, from ", PaceText(options), " on")},
      {"connections", absl::StrCat(report.channels)},
      {"duration", absl::FormatDuration(options.duration)},
      {"warm-up", absl::FormatDuration(options.warm_up)},
      {"timeout", absl::FormatDuration(options.timeout)},
      {"seed", absl::StrCat(options.seed)},
  };
  if (options.concurrency == 0) {
    pairs.emplace_back("in flight at most", absl::StrCat(options.in_flight_max));
    const LoadResult& detail = DetailOf(report);
    pairs.emplace_back(
        report.is_series ? absl::StrCat("late sends at ", PaceText(detail.options)) : "late sends",
        absl::StrFormat("%d, by %s at most", detail.counts.late,
                        MillisecondsText(detail.counts.delay_max)));
  }
  if (report.verify.has_value()) {
    const Verifier::Result& result = report.verify->result;
    pairs.emplace_back(
        "verified",
        absl::StrFormat("%d rows recomputed%s, %d answers compared bit for bit", result.rows,
                        report.verify->keys_known ? "" : " (keys not known)", result.duplicates));
    if (result.wrong > 0) pairs.emplace_back("wrong", std::string(result.first_wrong.message()));
  }
  pairs.emplace_back(
      "client", absl::StrFormat("%s, %d CPUs usable",
                                machines.client_cpu.empty() ? "unknown CPU" : machines.client_cpu,
                                machines.client_cpus));
  pairs.emplace_back("server", machines.server);
  if (!machines.status.version().empty()) {
    pairs.emplace_back(
        "", absl::StrFormat("qkserve %s, %d workers, kernels %s (inline keys) and %s (key sets)",
                            machines.status.version(), machines.status.workers(),
                            machines.status.kernel(), machines.status.key_set_kernel()));
  }
  page.AddHeading("Configuration and machines");
  page.AddPairs(pairs);
}

std::vector<std::string> DetailCharts(const LoadReport& report, const LoadResult& step) {
  const LoadCounts& counts = step.counts;
  std::vector<NamedHistogram> latencies = {{"response time", counts.response}};
  if (step.options.concurrency == 0) latencies.push_back({"service time", counts.service});
  return {// In a series, a chart of all loads replaces this one.
          report.is_series ? "" : ChartSvg(LatencyAgainstLoad(report.steps)),
          ChartSvg(LatencyOverTime(step)),
          ChartSvg(RateOverTime(step)),
          ChartSvg(LatencyShares(
              latencies.size() > 1 ? "Response and service times" : "Response times", latencies)),
          ChartSvg(BatchSizes(counts)),
          ChartSvg(LatencyShares("Time queued and computed (from receipts)",
                                 {{"queued", counts.queued}, {"computed", counts.computed}})),
          ChartSvg(ServerTimesOverTime(step))};
}

}  // namespace

std::string LoadPage(const LoadReport& report) {
  const LoadResult& step = DetailOf(report);
  HtmlPage page(
      absl::StrCat("qkserve load: ", report.workload.name.empty()
                                         ? OutputName(report.workload.output)
                                         : report.workload.name),
      absl::StrCat(WorkloadText(report), ". ",
                   absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", report.begun, absl::UTCTimeZone())));
  const PeakResult* const peak = report.peak.has_value() ? &*report.peak : nullptr;
  if (report.is_series) {
    page.AddHeading(
        absl::StrCat(report.steps.size(), report.steps.size() == 1 ? " load" : " loads"));
    if (peak != nullptr) page.AddParagraph(Sentence(PeakText(report)));
    page.AddCharts({ChartSvg(LatencyAgainstLoad(report.steps, peak)),
                    ChartSvg(RateAgainstLoad(report.steps, peak))});
    AddSteps(report.steps, page);
  }
  page.AddHeading(absl::StrCat(report.is_series ? "In detail: " : "", PaceText(step.options),
                               step.interrupted ? ", ended early" : ""));
  AddFigures(report, step, page);
  page.AddCharts(DetailCharts(report, step));
  AddLatencies(step, page);
  page.AddParagraph(Sentence(LatencyScopeText({&step, 1})));
  AddErrors(report, page);
  AddConfiguration(report, page);
  return page.Html();
}

}  // namespace qkserve
