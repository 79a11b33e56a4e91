#include "tools/qkctl/output/load_text.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// Longer names are cut. The names that --make_key_set chooses have up to 40 characters.
constexpr size_t kNameColumns = 48;

std::string KeysText(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  if (!workload.resident) return "inline keys";
  const std::string name = CutMiddle(Printable(report.key_set), kNameColumns);
  if (workload.key_sets == 1) return absl::StrCat("key set ", name);
  return absl::StrFormat("%d key sets from %s on, Zipf %g", workload.key_sets, name, workload.zipf);
}

absl::string_view ArrivalsText(const LoadOptions& options) {
  return options.arrivals == Arrivals::kPoisson ? "poisson" : "constant";
}

std::string HeaderText(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  const LoadResult& step = report.steps[0];
  std::string text = workload.name.empty() ? "" : absl::StrCat(workload.name, ": ");
  absl::StrAppendFormat(&text, "n=%d m=%d d=%d, %s, %s%s; ", workload.n, workload.m, workload.d,
                        KeysText(report), OutputName(workload.output),
                        workload.output == Output::kTopK ? absl::StrCat(" ", workload.top_k) : "");
  if (!report.is_series) {
    absl::StrAppend(&text, PaceText(step.options), " ");
  } else if (step.options.concurrency == 0) {
    absl::StrAppend(&text, ArrivalsText(step.options), " arrivals ");
  }
  absl::StrAppend(&text, "over ", CountText(report.channels, "connection"));
  if (!report.is_series) {
    absl::StrAppendFormat(&text, ", %.1f s%s", absl::ToDoubleSeconds(step.elapsed),
                          step.interrupted ? ", ended early" : "");
  }
  return absl::StrCat(WrapText(text, 2), "\n\n");
}

// Adds the percentiles of latencies. An open loop has a column for response time and one for
// service time. A closed loop has one column.
void AddLatencies(const LoadResult& step, std::string* text) {
  const LoadCounts& counts = step.counts;
  const bool open = step.options.concurrency == 0;
  if (open) absl::StrAppendFormat(text, "%-20s%16s%16s\n", "", "response time", "service time");
  for (const auto& [name, p] : kReportPercentiles) {
    // Clang before version 16 cannot capture structured bindings.
    const auto value = [&counts, p = p](const LatencyHistogram& histogram) {
      return counts.ok == 0 ? "-" : MillisecondsText(histogram.Percentile(p));
    };
    absl::StrAppendFormat(text, "%-20s%16s", absl::StrCat("latency ", name),
                          value(counts.response));
    if (open) absl::StrAppendFormat(text, "%16s", value(counts.service));
    absl::StrAppend(text, "\n");
  }
}

std::string StepText(const LoadResult& step) {
  const LoadCounts& counts = step.counts;
  std::string text;
  const auto line = [&text](absl::string_view name, absl::string_view value) {
    absl::StrAppendFormat(&text, "%-20s%16s\n", name, value);
  };
  line("requests/s", absl::StrFormat("%.1f", step.RequestsPerSecond()));
  if (counts.good != counts.ok || counts.Errors() > 0) {
    line("goodput/s", absl::StrFormat("%.1f", step.GoodputPerSecond()));
  }
  AddLatencies(step, &text);
  if (step.options.concurrency == 0) {
    line("due", absl::StrCat(counts.Due()));
    line("sent", absl::StrCat(counts.sent));
    line("  late", absl::StrCat(counts.late));
    line("  delay max", MillisecondsText(counts.delay_max));
  }
  line("ok", absl::StrCat(counts.ok));
  line("errors", absl::StrCat(counts.Errors()));
  for (const auto& [code, errors] : counts.errors_by_code) {
    line(absl::StrCat("  ", absl::StatusCodeToString(code)), absl::StrCat(errors.count));
    if (code == absl::StatusCode::kDeadlineExceeded && counts.unanswered > 0) {
      line("    expired here", absl::StrCat(counts.unanswered));
    }
  }
  if (step.options.attempts > 1) {
    line("retries", absl::StrCat(counts.retries));
    line("  recovered", absl::StrCat(counts.recovered));
    line("  over budget", absl::StrCat(counts.over_budget));
  }
  if (counts.abandoned > 0) line("not waited for", absl::StrCat(counts.abandoned));
  if (counts.ok == 0) return text;
  line("requests a batch", absl::StrFormat("%.2f", step.Whole().batch_requests_mean));
  line("mean queued", absl::StrFormat("%.1f us", absl::ToDoubleMicroseconds(counts.queued.Mean())));
  line("mean computed",
       absl::StrFormat("%.1f us", absl::ToDoubleMicroseconds(counts.computed.Mean())));
  return text;
}

// Returns the load of a step, such as "32 at a time" or "500/s".
std::string LoadName(const LoadOptions& options) {
  const std::string pace = PaceText(options);
  return pace.substr(0, pace.find(','));
}

// Returns the number of decimals with which `longest` has five digits, but at most 3.
int DecimalsFor(absl::Duration longest) {
  const double ms = absl::ToDoubleMilliseconds(longest);
  if (ms < 100) return 3;
  return ms < 1000 ? 2 : ms < 10'000 ? 1 : 0;
}

// Returns a column of times, all with the same number of decimals.
std::vector<std::string> MillisecondsColumn(const std::vector<LoadInterval>& loads,
                                            absl::Duration LoadInterval::*time) {
  absl::Duration longest;
  for (const LoadInterval& load : loads) longest = std::max(longest, load.*time);
  std::vector<std::string> column;
  column.reserve(loads.size());
  for (const LoadInterval& load : loads) {
    column.push_back(load.ok == 0 ? "-"
                                  : absl::StrFormat("%.*f", DecimalsFor(longest),
                                                    absl::ToDoubleMilliseconds(load.*time)));
  }
  return column;
}

std::string StepsText(const LoadReport& report) {
  std::vector<LoadInterval> loads;
  for (const LoadResult& step : report.steps) loads.push_back(step.Whole());
  const std::vector<std::string> p50 = MillisecondsColumn(loads, &LoadInterval::p50);
  const std::vector<std::string> p99 = MillisecondsColumn(loads, &LoadInterval::p99);
  const std::vector<std::string> p999 = MillisecondsColumn(loads, &LoadInterval::p999);
  const std::vector<std::string> max = MillisecondsColumn(loads, &LoadInterval::max);
  std::vector<std::vector<std::string>> rows = {
      {"", "", "ms", "ms", "ms", "ms", "", "requests"},
      {"load", "requests/s", "p50", "p99", "p99.9", "max", "errors", "a batch"}};
  bool early = false;
  for (size_t i = 0; i < loads.size(); ++i) {
    const LoadResult& step = report.steps[i];
    early |= step.interrupted;
    rows.push_back(
        {absl::StrCat(LoadName(step.options), step.interrupted ? " *" : ""),
         absl::StrFormat("%.1f", step.RequestsPerSecond()), p50[i], p99[i], p999[i], max[i],
         absl::StrCat(loads[i].errors),
         loads[i].ok == 0 ? "-" : absl::StrFormat("%.2f", loads[i].batch_requests_mean)});
  }
  constexpr std::array kColumns = {TextAlign::kLeft,  TextAlign::kRight, TextAlign::kRight,
                                   TextAlign::kRight, TextAlign::kRight, TextAlign::kRight,
                                   TextAlign::kRight, TextAlign::kRight};
  return absl::StrCat(TextTable(kColumns, rows), early ? "* ended early\n" : "");
}

std::string VerifyText(const VerifyReport& verify) {
  const Verifier::Result& result = verify.result;
  const std::string rows = verify.keys_known
                               ? absl::StrCat(CountText(result.rows, "row"), " recomputed")
                               : "no rows recomputed (the keys are not known here)";
  const std::string text =
      absl::StrCat("verify: ", rows, ", ", CountText(result.duplicates, "answer"),
                   " compared bit for bit, ", result.wrong, " wrong");
  return absl::StrCat(WrapText(text, 2), "\n");
}

}  // namespace

std::string LoadReportText(const LoadReport& report) {
  std::string text = HeaderText(report);
  absl::StrAppend(&text, !report.is_series ? StepText(report.steps[0]) : StepsText(report));
  absl::StrAppend(&text, WrapText(LatencyScopeText(report.steps), 2), "\n");
  if (report.verify.has_value()) absl::StrAppend(&text, VerifyText(*report.verify));
  if (report.peak.has_value()) absl::StrAppend(&text, WrapText(PeakText(report), 2), "\n");
  return text;
}

}  // namespace qkserve
