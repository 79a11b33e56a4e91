#include "tools/qkctl/output/load_text.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

std::string KeysText(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  if (!workload.resident) return "inline keys";
  const std::string name = Printable(report.key_set);
  if (workload.key_sets == 1) return absl::StrCat("key set ", name);
  return absl::StrFormat("%d key sets from %s on, Zipf %g", workload.key_sets, name, workload.zipf);
}

std::string HeaderText(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  const LoadResult& step = report.steps[0];
  std::string text = workload.name.empty() ? "" : absl::StrCat(workload.name, ": ");
  absl::StrAppendFormat(&text, "n=%d m=%d d=%d, %s, %s%s; ", workload.n, workload.m, workload.d,
                        KeysText(report), OutputName(workload.output),
                        workload.output == Output::kTopK ? absl::StrCat(" ", workload.top_k) : "");
  if (!report.is_series) absl::StrAppend(&text, PaceText(step.options), " ");
  absl::StrAppendFormat(&text, "over %d connection%s", report.channels,
                        report.channels == 1 ? "" : "s");
  if (!report.is_series) {
    absl::StrAppendFormat(&text, ", %.1f s%s", absl::ToDoubleSeconds(step.elapsed),
                          step.interrupted ? ", ended early" : "");
  }
  return absl::StrCat(text, "\n\n");
}

// The percentiles of latencies: in an open loop response time beside service time, in a closed loop
// one column.
void AddLatencies(const LoadResult& step, std::string* text) {
  const LoadCounts& counts = step.counts;
  const bool open = step.options.concurrency == 0;
  if (open) absl::StrAppendFormat(text, "%-20s%16s%16s\n", "", "response time", "service time");
  for (const auto& [name, p] : kReportPercentiles) {
    // Clang before 16 captures no structured bindings.
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
  }
  if (counts.abandoned > 0) line("not waited for", absl::StrCat(counts.abandoned));
  if (counts.ok == 0) return text;
  line("mean batch", absl::StrFormat("%.2f requests", static_cast<double>(counts.batch_requests) /
                                                          static_cast<double>(counts.ok)));
  line("mean queued", absl::StrFormat("%.1f us", absl::ToDoubleMicroseconds(counts.queued.Mean())));
  line("mean computed",
       absl::StrFormat("%.1f us", absl::ToDoubleMicroseconds(counts.computed.Mean())));
  return text;
}

std::string StepsText(const LoadReport& report) {
  std::string text = absl::StrFormat("%-24s%12s%12s%12s%12s%12s%10s%8s\n", "", "requests/s",
                                     "p50 ms", "p99 ms", "p99.9 ms", "max ms", "errors", "batch");
  for (const LoadResult& step : report.steps) {
    const LoadInterval whole = step.Whole();
    const auto ms = [&whole](absl::Duration duration) {
      return whole.ok == 0 ? std::string("-")
                           : absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(duration));
    };
    absl::StrAppendFormat(&text, "%-24s%12.1f%12s%12s%12s%12s%10d%8.2f\n",
                          absl::StrCat(PaceText(step.options), step.interrupted ? " *" : ""),
                          step.RequestsPerSecond(), ms(whole.p50), ms(whole.p99), ms(whole.p999),
                          ms(whole.max), whole.errors, whole.batch_requests_mean);
  }
  const bool early = std::any_of(report.steps.begin(), report.steps.end(),
                                 [](const LoadResult& step) { return step.interrupted; });
  if (early) absl::StrAppend(&text, "* ended early\n");
  return text;
}

std::string VerifyText(const VerifyReport& verify) {
  const Verifier::Result& result = verify.result;
  const std::string rows = verify.keys_known ? absl::StrCat(result.rows, " rows recomputed")
                                             : "no rows recomputed (the keys are not known here)";
  return absl::StrCat("verify: ", rows, ", ", result.duplicates, " answers compared bit for bit, ",
                      result.wrong, " wrong\n");
}

}  // namespace

std::string LoadReportText(const LoadReport& report) {
  std::string text = HeaderText(report);
  absl::StrAppend(&text, !report.is_series ? StepText(report.steps[0]) : StepsText(report));
  absl::StrAppend(&text, LatencyScopeText(report), "\n");
  if (report.verify.has_value()) absl::StrAppend(&text, VerifyText(*report.verify));
  if (report.peak.has_value()) absl::StrAppend(&text, PeakText(report), "\n");
  return text;
}

}  // namespace qkserve
