#include "tools/report/load_export.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qkserve {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double>, 6> kJsonPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}, {"p9999", 99.99}, {"max", 100}}};

ordered_json LatencyJson(const LatencyHistogram& histogram) {
  ordered_json json;
  const bool any = histogram.Count() > 0;
  for (const auto& [name, p] : kJsonPercentiles) {
    json[name] = nullptr;
    if (any) json[name] = absl::ToDoubleMicroseconds(histogram.Percentile(p));
  }
  json["mean"] = nullptr;
  if (any) json["mean"] = absl::ToDoubleMicroseconds(histogram.Mean());
  return json;
}

void AddPace(const LoadOptions& options, ordered_json& json) {
  const bool closed = options.concurrency > 0;
  json["loop"] = closed ? "closed" : "open";
  json["concurrency"] = nullptr;
  json["rate_from"] = nullptr;
  json["rate_to"] = nullptr;
  json["arrivals"] = nullptr;
  if (closed) {
    json["concurrency"] = options.concurrency;
    return;
  }
  json["rate_from"] = options.rate_from;
  json["rate_to"] = options.rate_to;
  json["arrivals"] = options.arrivals == Arrivals::kPoisson ? "poisson" : "constant";
}

ordered_json IntervalJson(const LoadInterval& interval) {
  ordered_json json;
  json["begin_s"] = absl::ToDoubleSeconds(interval.begin);
  json["length_s"] = absl::ToDoubleSeconds(interval.length);
  json["due"] = nullptr;
  if (interval.due.has_value()) json["due"] = *interval.due;
  json["sent"] = interval.sent;
  json["ok"] = interval.ok;
  json["good"] = interval.good;
  json["errors"] = interval.errors;
  json["p50_us"] = nullptr;
  json["p90_us"] = nullptr;
  json["p99_us"] = nullptr;
  json["p999_us"] = nullptr;
  json["p9999_us"] = nullptr;
  json["max_us"] = nullptr;
  json["batch_requests_mean"] = nullptr;
  json["queued_us_mean"] = nullptr;
  json["computed_us_mean"] = nullptr;
  if (interval.ok == 0) return json;
  json["p50_us"] = absl::ToDoubleMicroseconds(interval.p50);
  json["p90_us"] = absl::ToDoubleMicroseconds(interval.p90);
  json["p99_us"] = absl::ToDoubleMicroseconds(interval.p99);
  json["p999_us"] = absl::ToDoubleMicroseconds(interval.p999);
  json["p9999_us"] = absl::ToDoubleMicroseconds(interval.p9999);
  json["max_us"] = absl::ToDoubleMicroseconds(interval.max);
  json["batch_requests_mean"] = interval.batch_requests_mean;
  json["queued_us_mean"] = absl::ToDoubleMicroseconds(interval.queued_mean);
  json["computed_us_mean"] = absl::ToDoubleMicroseconds(interval.computed_mean);
  return json;
}

ordered_json StepJson(const LoadResult& step) {
  const LoadCounts& counts = step.counts;
  ordered_json json;
  json["requests_per_second"] = step.RequestsPerSecond();
  json["goodput_per_second"] = step.GoodputPerSecond();
  json["latency_us"] = LatencyJson(counts.response);
  json["service_us"] = LatencyJson(counts.service);
  json["due"] = counts.Due();
  json["sent"] = counts.sent;
  json["late"] = counts.late;
  json["unsent"] = counts.unsent;
  json["send_delay_us_max"] = absl::ToDoubleMicroseconds(counts.delay_max);
  json["abandoned"] = counts.abandoned;
  json["ok"] = counts.ok;
  json["good"] = counts.good;
  json["errors"] = counts.Errors();
  json["errors_by_code"] = ordered_json::object();
  for (const auto& [code, errors] : counts.errors_by_code) {
    json["errors_by_code"][absl::StatusCodeToString(code)] = errors.count;
  }
  json["batch_requests_mean"] = nullptr;
  json["queued_us_mean"] = nullptr;
  json["computed_us_mean"] = nullptr;
  if (counts.ok > 0) {
    json["batch_requests_mean"] =
        static_cast<double>(counts.batch_requests) / static_cast<double>(counts.ok);
    json["queued_us_mean"] = absl::ToDoubleMicroseconds(counts.queued.Mean());
    json["computed_us_mean"] = absl::ToDoubleMicroseconds(counts.computed.Mean());
  }
  AddPace(step.options, json);
  json["warm_up_s"] = absl::ToDoubleSeconds(step.options.warm_up);
  json["duration_s"] = absl::ToDoubleSeconds(step.elapsed);
  json["ended_early"] = step.interrupted;
  json["intervals"] = ordered_json::array();
  for (const LoadInterval& interval : step.timeline) {
    json["intervals"].push_back(IntervalJson(interval));
  }
  return json;
}

void AddWorkload(const LoadReport& report, ordered_json& json) {
  const LoadWorkload& workload = report.workload;
  json["workload"] = nullptr;
  if (!workload.name.empty()) json["workload"] = workload.name;
  json["n"] = workload.n;
  json["m"] = workload.m;
  json["d"] = workload.d;
  json["key_set"] = nullptr;
  if (workload.resident) json["key_set"] = report.key_set;
  json["key_sets"] = workload.resident ? workload.key_sets : 0;
  json["zipf"] = workload.zipf;
  json["output"] = OutputText(workload.output);
  json["top_k"] = workload.top_k;
  json["channels"] = report.channels;
  const LoadMachines& machines = report.machines;
  json["client"] = {{"cpu", machines.client_cpu}, {"cpus", machines.client_cpus}};
  json["server"] = {{"address", machines.server},
                    {"version", machines.server_version},
                    {"kernel", machines.server_kernel},
                    {"key_set_kernel", machines.server_key_set_kernel},
                    {"workers", machines.server_workers}};
  json["begun"] = absl::FormatTime(absl::RFC3339_sec, report.begun, absl::UTCTimeZone());
}

const char* PeakEndName(PeakEnd end) {
  switch (end) {
    case PeakEnd::kFound:
      return "found";
    case PeakEnd::kNothingHeld:
      return "nothing_held";
    case PeakEnd::kClientLimited:
      return "client_limited";
    case PeakEnd::kServerGone:
      return "server_gone";
    case PeakEnd::kFailed:
      return "failed";
    case PeakEnd::kInterrupted:
      return "interrupted";
  }
  return "";
}

ordered_json PeakJson(const PeakResult& peak) {
  ordered_json json;
  json["percentile"] = peak.limit.percentile;
  json["latency_limit_us"] = absl::ToDoubleMicroseconds(peak.limit.latency);
  json["requests_per_second"] = nullptr;
  if (peak.held.has_value()) json["requests_per_second"] = *peak.held;
  json["failed_at"] = nullptr;
  if (peak.failed.has_value()) json["failed_at"] = *peak.failed;
  json["end"] = PeakEndName(peak.end);
  return json;
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
  AddWorkload(report, json);
  if (report.peak.has_value()) json["peak"] = PeakJson(*report.peak);
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
  std::string csv =
      "concurrency,rate,begin_s,length_s,requests_per_second,goodput_per_second,due,sent,ok,good,"
      "errors,p50_us,p90_us,p99_us,p999_us,p9999_us,max_us,batch_requests_mean,queued_us_mean,"
      "computed_us_mean\n";
  const auto line = [&csv](const LoadOptions& options, double rate, const LoadInterval& interval,
                           double requests_per_second, double goodput_per_second) {
    const auto us = [&interval](absl::Duration duration) {
      return interval.ok == 0 ? "" : absl::StrFormat("%.3f", absl::ToDoubleMicroseconds(duration));
    };
    const bool closed = options.concurrency > 0;
    absl::StrAppend(&csv, closed ? absl::StrCat(options.concurrency) : "", ",",
                    closed ? "" : absl::StrFormat("%.3f", rate), ",",
                    absl::StrFormat("%.3f,%.3f,%.3f,%.3f,", absl::ToDoubleSeconds(interval.begin),
                                    absl::ToDoubleSeconds(interval.length), requests_per_second,
                                    goodput_per_second),
                    interval.due.has_value() ? absl::StrFormat("%.1f", *interval.due) : "", ",",
                    interval.sent, ",", interval.ok, ",", interval.good, ",", interval.errors);
    absl::StrAppend(&csv, ",", us(interval.p50), ",", us(interval.p90), ",", us(interval.p99), ",",
                    us(interval.p999), ",", us(interval.p9999), ",", us(interval.max), ",",
                    interval.ok == 0 ? "" : absl::StrFormat("%.3f", interval.batch_requests_mean),
                    ",", us(interval.queued_mean), ",", us(interval.computed_mean), "\n");
  };
  if (report.is_series) {
    for (const LoadResult& step : report.steps) {
      line(step.options, step.options.rate_from, step.Whole(), step.RequestsPerSecond(),
           step.GoodputPerSecond());
    }
    return csv;
  }
  const LoadOptions& options = report.steps[0].options;
  for (const LoadInterval& interval : report.steps[0].timeline) {
    const absl::Duration middle = options.warm_up + interval.begin + interval.length / 2;
    const double seconds = std::max(1e-9, absl::ToDoubleSeconds(interval.length));
    line(options, options.Profile().RateAt(middle), interval,
         static_cast<double>(interval.ok) / seconds, static_cast<double>(interval.good) / seconds);
  }
  return csv;
}

}  // namespace qkserve
