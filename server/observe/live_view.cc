#include "server/observe/live_view.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "qkserve/version.h"
#include "server/observe/process_stats.h"

namespace qkserve {
namespace {

using Json = nlohmann::ordered_json;

// Returns seconds since the epoch, rounded down to a millisecond.
double UnixSeconds(absl::Time time) { return static_cast<double>(absl::ToUnixMillis(time)) / 1e3; }

// Rounds to a microsecond, because more digits would only make the document longer.
double Rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

LoadCounts CountsOf(const RequestMetrics::Counts& counts, double cpu_seconds) {
  LoadCounts load;
  load.answered = counts.calls[static_cast<size_t>(Method::kScore)][0];
  for (const auto& calls : counts.calls) {
    for (size_t code = 1; code < kStatusCodes; ++code) load.errors[code] += calls[code];
  }
  load.latency = counts.answered;
  for (const int64_t batches : counts.batch_requests.counts) load.batches += batches;
  load.batch_requests = counts.batch_requests.sum;
  load.batch_rows = counts.batch_rows.sum;
  load.cpu_seconds = cpu_seconds;
  return load;
}

LoadState StateOf(const ServerParts& parts, int64_t workers) {
  const Batcher::Stats stats = parts.batcher->GetStats();
  return {.queue_requests = stats.queue.requests(),
          .queue_seconds = absl::ToDoubleSeconds(stats.queue.cost()) / static_cast<double>(workers),
          .in_flight_requests = parts.calls->count(),
          .in_flight_bytes = parts.budget->bytes(),
          .key_set_bytes = parts.key_sets->budget().bytes()};
}

// Returns the errors by code, for example {"NOT_FOUND": 3}. Codes without errors are left out.
Json ErrorsJson(const LoadCounts& counts) {
  Json errors = Json::object();
  for (size_t code = 0; code < kStatusCodes; ++code) {
    if (counts.errors[code] == 0) continue;
    errors[absl::StatusCodeToString(static_cast<absl::StatusCode>(code))] = counts.errors[code];
  }
  return errors;
}

// Returns pairs of a bucket and its count. [4, 10, 5, 2] means 10 in bucket 4 and 2 in bucket 5.
// Empty buckets are left out, because most buckets of a sample are empty.
Json BucketsJson(const RequestMetrics::TimeHistogram& histogram) {
  Json buckets = Json::array();
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    if (histogram.counts[i] == 0) continue;
    buckets.push_back(i);
    buckets.push_back(histogram.counts[i]);
  }
  return buckets;
}

// Returns columns: an array for each field, with one value for each sample. `from` is the first
// index in history.samples(). `wall` is added to the clock's times, which makes them times since
// the epoch.
Json SamplesJson(const LoadHistory& history, size_t from, absl::Duration wall) {
  Json samples = {{"first", history.first_number() + static_cast<int64_t>(from)}};
  const auto column = [&](const char* name, const auto& value_of) {
    Json& values = samples[name] = Json::array();
    for (size_t i = from; i < history.samples().size(); ++i) {
      values.push_back(value_of(history.samples()[i]));
    }
  };
  const auto count = [&](const char* name, int64_t LoadCounts::*field) {
    column(name, [field](const LoadSample& sample) { return sample.counts.*field; });
  };
  const auto state = [&](const char* name, auto LoadState::*field) {
    column(name, [field](const LoadSample& sample) {
      return sample.state.has_value() ? Json((*sample.state).*field) : Json();
    });
  };
  column("time", [wall](const LoadSample& sample) { return UnixSeconds(sample.at + wall); });
  column("seconds",
         [](const LoadSample& sample) { return Rounded(absl::ToDoubleSeconds(sample.interval)); });
  count("answered", &LoadCounts::answered);
  column("errors", [](const LoadSample& sample) { return ErrorsJson(sample.counts); });
  column("latency", [](const LoadSample& sample) { return BucketsJson(sample.counts.latency); });
  count("batches", &LoadCounts::batches);
  count("batch_requests", &LoadCounts::batch_requests);
  count("batch_rows", &LoadCounts::batch_rows);
  column("cpu_seconds",
         [](const LoadSample& sample) { return Rounded(sample.counts.cpu_seconds); });
  state("queue_requests", &LoadState::queue_requests);
  column("queue_seconds", [](const LoadSample& sample) {
    return sample.state.has_value() ? Json(Rounded(sample.state->queue_seconds)) : Json();
  });
  state("in_flight_requests", &LoadState::in_flight_requests);
  state("in_flight_bytes", &LoadState::in_flight_bytes);
  state("key_set_bytes", &LoadState::key_set_bytes);
  column("resident_bytes", [](const LoadSample& sample) { return sample.resident_bytes; });
  return samples;
}

Json TensorJson(DataType type, const Shape& shape) {
  return {{"data_type", std::string(DataTypeName(type))}, {"shape", shape}};
}

// Returns the same members as `qkctl keys list --json`.
Json KeySetJson(const KeySetStore::Listed& listed) {
  Json json = {{"name", listed.name}, {"version", nullptr}, {"keys", nullptr},
               {"values", nullptr},   {"memory_bytes", 0},  {"requests_served", 0},
               {"problem", nullptr}};
  if (!listed.problem.empty()) json["problem"] = listed.problem;
  if (!listed.key_set.ok()) return json;
  const KeySet& key_set = **listed.key_set;
  const KeySetLayout& layout = key_set.layout();
  json["version"] = key_set.version();
  json["keys"] = TensorJson(layout.key_type, layout.KeyShape(key_set.m()));
  if (layout.dv.has_value()) {
    json["values"] = TensorJson(layout.value_type, layout.ValueShape(key_set.m()));
  }
  json["memory_bytes"] = key_set.memory_bytes();
  json["requests_served"] = key_set.requests_served().load();
  return json;
}

Json KeySetsJson(const KeySetStore& store) {
  Json shown = Json::array();
  for (const KeySetStore::Listed& listed : store.List("", MetricsExporter::kKeySetsShownMax)) {
    shown.push_back(KeySetJson(listed));
  }
  return {{"count", store.count()},
          {"with_problems", store.problem_count()},
          {"bytes", store.budget().bytes()},
          {"bytes_max", store.budget().bytes_max()},
          {"shown", std::move(shown)}};
}

}  // namespace

LiveView::LiveView(const MetricsExporter* exporter, const Clock* clock)
    : exporter_(*exporter),
      clock_(*clock),
      started_(absl::Now()),
      history_(CountsOf(exporter->metrics().Read(), ProcessStats::ReadUsage().cpu_seconds), clock) {
}

void LiveView::TakeSample() {
  const ProcessStats process = ProcessStats::ReadUsage();
  const std::optional<ServerParts> parts = exporter_.parts();
  std::optional<LoadState> state;
  if (parts.has_value()) state = StateOf(*parts, exporter_.compute().workers);
  history_.Add(CountsOf(exporter_.metrics().Read(), process.cpu_seconds), state,
               process.resident_bytes);
}

std::string LiveView::Document(int64_t after) const {
  const absl::Time now = absl::Now();
  const std::optional<ServerParts> parts = exporter_.parts();
  const std::string why_not_ready = exporter_.WhyNotReady();
  const ComputeSetup& compute = exporter_.compute();
  const Json json = {
      {"started", UnixSeconds(started_)},
      {"now", UnixSeconds(now)},
      {"version", kVersion},
      {"kernel", compute.kernel},
      {"key_set_kernel", compute.key_set_kernel},
      {"workers", compute.workers},
      {"is_ready", why_not_ready.empty()},
      {"state", why_not_ready.empty() ? "ready" : why_not_ready},
      {"answered", history_.counts().answered},
      {"errors", ErrorsJson(history_.counts())},
      {"in_flight_bytes_max", parts.has_value() ? Json(parts->budget->bytes_max()) : Json()},
      {"latency_bounds_ns", kTimeBounds},
      {"samples", SamplesJson(history_, history_.CountUpTo(after), now - clock_.Now())},
      {"key_sets", parts.has_value() ? KeySetsJson(*parts->key_sets) : Json()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace qkserve
