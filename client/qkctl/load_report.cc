#include "client/qkctl/load_report.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "client/qkctl/output_flags.h"
#include "client/qkctl/shared_flags.h"

namespace qkserve {
namespace {

double PerSecond(int64_t count, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// At least one request must have been answered OK.
double MeanUs(absl::Duration sum, int64_t ok) {
  return absl::ToDoubleMicroseconds(sum) / static_cast<double>(ok);
}

std::string Milliseconds(absl::Duration duration) {
  return absl::StrFormat("%.3f ms", absl::ToDoubleMilliseconds(duration));
}

std::string KeysText(const LoadWorkload& workload) {
  return workload.key_set.has_value() ? absl::StrCat("key set ", Printable(workload.key_set->name))
                                      : "inline keys";
}

std::string OutputText(const LoadWorkload& workload) {
  const absl::string_view name = OutputName(workload.output);
  return workload.output == Output::kTopK ? absl::StrCat(name, " ", workload.top_k)
                                          : std::string(name);
}

}  // namespace

std::string LoadReportText(const LoadWorkload& workload, const LoadCounts& counts,
                           absl::Duration elapsed) {
  std::string text = absl::StrFormat(
      "n=%d m=%d d=%d, %s, %s; %d at a time over %d connection%s, %.1f s\n\n", workload.n,
      workload.m, workload.d, KeysText(workload), OutputText(workload), workload.concurrency,
      workload.channels, workload.channels == 1 ? "" : "s", absl::ToDoubleSeconds(elapsed));
  const auto line = [&text](absl::string_view name, absl::string_view value) {
    absl::StrAppendFormat(&text, "%-20s%16s\n", name, value);
  };
  line("requests/s", absl::StrFormat("%.1f", PerSecond(counts.ok, elapsed)));
  static constexpr std::array<std::pair<absl::string_view, double>, 5> kPercentiles = {
      {{"latency p50", 50},
       {"latency p90", 90},
       {"latency p99", 99},
       {"latency p99.9", 99.9},
       {"latency max", 100}}};
  for (const auto& [name, p] : kPercentiles) {
    line(name, counts.ok == 0 ? "-" : Milliseconds(counts.latency.Percentile(p)));
  }
  line("ok", absl::StrCat(counts.ok));
  line("errors", absl::StrCat(counts.Errors()));
  for (const auto& [code, count] : counts.errors_by_code) {
    line(absl::StrCat("  ", absl::StatusCodeToString(code)), absl::StrCat(count));
  }
  if (counts.ok == 0) return text;
  line("mean batch", absl::StrFormat("%.2f requests", static_cast<double>(counts.batch_requests) /
                                                          static_cast<double>(counts.ok)));
  line("mean queued", absl::StrFormat("%.1f us", MeanUs(counts.queued, counts.ok)));
  line("mean computed", absl::StrFormat("%.1f us", MeanUs(counts.computed, counts.ok)));
  return text;
}

nlohmann::ordered_json LoadReportJson(const LoadWorkload& workload, const LoadCounts& counts,
                                      absl::Duration elapsed) {
  nlohmann::ordered_json json;
  json["requests_per_second"] = PerSecond(counts.ok, elapsed);
  static constexpr std::array<std::pair<const char*, double>, 5> kPercentiles = {
      {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}, {"max", 100}}};
  for (const auto& [name, p] : kPercentiles) {
    json["latency_us"][name] = nullptr;
    if (counts.ok > 0) {
      json["latency_us"][name] = absl::ToDoubleMicroseconds(counts.latency.Percentile(p));
    }
  }
  json["latency_us"]["mean"] = nullptr;
  json["ok"] = counts.ok;
  json["errors"] = counts.Errors();
  json["errors_by_code"] = nlohmann::ordered_json::object();
  for (const auto& [code, count] : counts.errors_by_code) {
    json["errors_by_code"][absl::StatusCodeToString(code)] = count;
  }
  json["batch_requests_mean"] = nullptr;
  json["queued_us_mean"] = nullptr;
  json["computed_us_mean"] = nullptr;
  if (counts.ok > 0) {
    json["latency_us"]["mean"] = absl::ToDoubleMicroseconds(counts.latency.Mean());
    json["batch_requests_mean"] =
        static_cast<double>(counts.batch_requests) / static_cast<double>(counts.ok);
    json["queued_us_mean"] = MeanUs(counts.queued, counts.ok);
    json["computed_us_mean"] = MeanUs(counts.computed, counts.ok);
  }
  json["n"] = workload.n;
  json["m"] = workload.m;
  json["d"] = workload.d;
  json["key_set"] = nullptr;
  if (workload.key_set.has_value()) json["key_set"] = workload.key_set->name;
  json["output"] = std::string(OutputName(workload.output));
  json["top_k"] = workload.top_k;
  json["concurrency"] = workload.concurrency;
  json["channels"] = workload.channels;
  json["duration_s"] = absl::ToDoubleSeconds(elapsed);
  return json;
}

std::string LoadProgressText(const LoadCounts& counts, int64_t earlier_ok, absl::Duration interval,
                             absl::Duration remaining) {
  return absl::StrFormat("%.1f requests/s, p50 %s, p99 %s, %d errors, %.0f s left",
                         PerSecond(counts.ok - earlier_ok, interval),
                         Milliseconds(counts.latency.Percentile(50)),
                         Milliseconds(counts.latency.Percentile(99)), counts.Errors(),
                         std::max(0.0, absl::ToDoubleSeconds(remaining)));
}

}  // namespace qkserve
