#include "tools/report/load_export.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace qkserve {
namespace {

using nlohmann::ordered_json;

// The names of PeakEnd's values, in their order.
constexpr const char* kPeakEndNames[] = {"found",       "nothing_held", "client_limited",
                                         "server_gone", "failed",       "interrupted"};

template <typename Value>
ordered_json OrNull(bool has_value, const Value& value) {
  return has_value ? ordered_json(value) : ordered_json();
}

ordered_json OrNull(std::optional<double> value) {
  return OrNull(value.has_value(), value.value_or(0));
}

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }
double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

ordered_json LatencyJson(const LatencyHistogram& histogram) {
  const bool any = histogram.Count() > 0;
  ordered_json json;
  for (const auto& [name, p] : kReportPercentiles) {
    json[absl::StrReplaceAll(name, {{".", ""}})] =
        OrNull(any, Microseconds(histogram.Percentile(p)));
  }
  json["mean"] = OrNull(any, Microseconds(histogram.Mean()));
  return json;
}

ordered_json IntervalJson(const LoadInterval& interval) {
  const auto us = [any = interval.ok > 0](absl::Duration duration) {
    return OrNull(any, Microseconds(duration));
  };
  return {{"begin_s", Seconds(interval.begin)},
          {"length_s", Seconds(interval.length)},
          {"due", OrNull(interval.due)},
          {"sent", interval.sent},
          {"ok", interval.ok},
          {"good", interval.good},
          {"errors", interval.errors},
          {"p50_us", us(interval.p50)},
          {"p90_us", us(interval.p90)},
          {"p99_us", us(interval.p99)},
          {"p999_us", us(interval.p999)},
          {"p9999_us", us(interval.p9999)},
          {"max_us", us(interval.max)},
          {"batch_requests_mean", OrNull(interval.ok > 0, interval.batch_requests_mean)},
          {"queued_us_mean", us(interval.queued_mean)},
          {"computed_us_mean", us(interval.computed_mean)}};
}

ordered_json StepJson(const LoadResult& step) {
  const LoadCounts& counts = step.counts;
  const LoadOptions& options = step.options;
  const ordered_json whole = IntervalJson(step.Whole());
  const bool closed = options.concurrency > 0;
  const char* const arrivals = options.arrivals == Arrivals::kPoisson ? "poisson" : "constant";
  ordered_json errors_by_code = ordered_json::object();
  for (const auto& [code, errors] : counts.errors_by_code) {
    errors_by_code[absl::StatusCodeToString(code)] = errors.count;
  }
  ordered_json intervals = ordered_json::array();
  for (const LoadInterval& interval : step.timeline) intervals.push_back(IntervalJson(interval));
  return {{"requests_per_second", step.RequestsPerSecond()},
          {"goodput_per_second", step.GoodputPerSecond()},
          {"latency_us", LatencyJson(counts.response)},
          {"service_us", LatencyJson(counts.service)},
          {"due", counts.Due()},
          {"sent", counts.sent},
          {"late", counts.late},
          {"unsent", counts.unsent},
          {"send_delay_us_max", Microseconds(counts.delay_max)},
          {"abandoned", counts.abandoned},
          {"ok", counts.ok},
          {"good", counts.good},
          {"errors", counts.Errors()},
          {"errors_by_code", errors_by_code},
          {"unanswered", counts.unanswered},
          {"attempts", options.attempts},
          {"retries", counts.retries},
          {"recovered", counts.recovered},
          {"over_budget", counts.over_budget},
          {"batch_requests_mean", whole.at("batch_requests_mean")},
          {"queued_us_mean", whole.at("queued_us_mean")},
          {"computed_us_mean", whole.at("computed_us_mean")},
          {"loop", closed ? "closed" : "open"},
          {"concurrency", OrNull(closed, options.concurrency)},
          {"rate_from", OrNull(!closed, options.rate_from)},
          {"rate_to", OrNull(!closed, options.rate_to)},
          {"arrivals", OrNull(!closed, arrivals)},
          {"warm_up_s", Seconds(options.warm_up)},
          {"duration_s", Seconds(step.elapsed)},
          {"ended_early", step.interrupted},
          {"intervals", intervals}};
}

ordered_json WorkloadJson(const LoadReport& report) {
  const LoadWorkload& workload = report.workload;
  const LoadMachines& machines = report.machines;
  return {{"workload", OrNull(!workload.name.empty(), workload.name)},
          {"n", workload.n},
          {"m", workload.m},
          {"d", workload.d},
          {"key_set", OrNull(workload.resident, report.key_set)},
          {"key_sets", workload.resident ? workload.key_sets : 0},
          {"zipf", workload.zipf},
          {"output", std::string(OutputName(workload.output))},
          {"top_k", workload.top_k},
          {"channels", report.channels},
          {"client", {{"cpu", machines.client_cpu}, {"cpus", machines.client_cpus}}},
          {"server",
           {{"address", machines.server},
            {"version", machines.status.version()},
            {"kernel", machines.status.kernel()},
            {"key_set_kernel", machines.status.key_set_kernel()},
            {"workers", machines.status.workers()}}},
          {"begun", absl::FormatTime(absl::RFC3339_sec, report.begun, absl::UTCTimeZone())}};
}

// Returns the columns of an interval by their names. `rate` is for an open loop.
ordered_json CsvRow(const LoadOptions& options, const LoadInterval& interval, double rate,
                    double requests_per_second, double goodput_per_second) {
  const bool closed = options.concurrency > 0;
  ordered_json row = {{"concurrency", OrNull(closed, options.concurrency)},
                      {"rate", OrNull(!closed, rate)}};
  const ordered_json figures = IntervalJson(interval);
  for (const auto& [name, value] : figures.items()) {
    if (name == "due") {
      row["requests_per_second"] = requests_per_second;
      row["goodput_per_second"] = goodput_per_second;
    }
    row[name] = value;
  }
  return row;
}

void AppendCsv(const ordered_json& row, std::string* csv) {
  std::vector<std::string> cells;
  for (const auto& [name, value] : row.items()) {
    const int digits = name == "due" ? 1 : 3;
    cells.push_back(value.is_null()           ? ""
                    : value.is_number_float() ? absl::StrFormat("%.*f", digits, value.get<double>())
                                              : value.dump());
  }
  absl::StrAppend(csv, absl::StrJoin(cells, ","), "\n");
}

}  // namespace

nlohmann::ordered_json LoadReportJson(const LoadReport& report) {
  ordered_json json;
  if (!report.is_series) {
    json = StepJson(report.steps[0]);
  } else {
    json["steps"] = ordered_json::array();
    for (const LoadResult& step : report.steps) json["steps"].push_back(StepJson(step));
  }
  json.update(WorkloadJson(report));
  if (report.peak.has_value()) {
    const PeakResult& peak = *report.peak;
    json["peak"] = {{"percentile", peak.limit.percentile},
                    {"latency_limit_us", Microseconds(peak.limit.latency)},
                    {"requests_per_second", OrNull(peak.held)},
                    {"failed_at", OrNull(peak.failed)},
                    {"end", kPeakEndNames[static_cast<size_t>(peak.end)]}};
  }
  json["verify"] = nullptr;
  if (report.verify.has_value()) {
    const Verifier::Result& result = report.verify->result;
    json["verify"] = {{"keys_known", report.verify->keys_known},
                      {"rows", result.rows},
                      {"duplicates", result.duplicates},
                      {"wrong", result.wrong},
                      {"first_wrong", std::string(result.first_wrong.message())}};
  }
  return json;
}

std::string LoadReportCsv(const LoadReport& report) {
  std::string csv;
  const ordered_json columns = CsvRow({}, {}, 0, 0, 0);
  for (const auto& [name, value] : columns.items()) {
    absl::StrAppend(&csv, csv.empty() ? "" : ",", name);
  }
  absl::StrAppend(&csv, "\n");
  if (report.is_series) {
    for (const LoadResult& step : report.steps) {
      AppendCsv(CsvRow(step.options, step.Whole(), step.options.rate_from, step.RequestsPerSecond(),
                       step.GoodputPerSecond()),
                &csv);
    }
    return csv;
  }
  const LoadOptions& options = report.steps[0].options;
  for (const LoadInterval& interval : report.steps[0].timeline) {
    const absl::Duration middle = options.warm_up + interval.begin + interval.length / 2;
    const double seconds = std::max(1e-9, Seconds(interval.length));
    AppendCsv(CsvRow(options, interval, options.Profile().RateAt(middle),
                     static_cast<double>(interval.ok) / seconds,
                     static_cast<double>(interval.good) / seconds),
              &csv);
  }
  return csv;
}

}  // namespace qkserve
