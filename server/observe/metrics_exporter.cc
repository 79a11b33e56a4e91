#include "server/observe/metrics_exporter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"
#include "qkserve/version.h"
#include "server/observe/process_stats.h"
#include "server/tls/tls_files.h"

namespace qkserve {
namespace {

using prometheus::MetricType;

constexpr double kSecondsPerNanosecond = 1e-9;

// Puts values into prometheus-cpp's model of an exposition.
//
// The library's Counter and Histogram are not used, because its Histogram has a mutex for which all
// threads of the request path would compete.
class Exposition {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  // Begins a family. The next calls of Add belong to it.
  void Begin(MetricType type, const char* name, const char* help) {
    families_.push_back({name, help, type, {}});
  }

  // Adds a value of a counter or gauge.
  template <class Number>
  void Add(Number value, Labels labels = {}) {
    prometheus::ClientMetric& metric = AddMetric(std::move(labels));
    const bool is_counter = families_.back().type == MetricType::Counter;
    (is_counter ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
  }

  // Adds a histogram. Bounds and sum are multiplied by `unit`.
  template <size_t N>
  void Add(const RequestMetrics::Histogram<N>& histogram, const std::array<int64_t, N>& bounds,
           double unit, Labels labels = {}) {
    prometheus::ClientMetric::Histogram& out = AddMetric(std::move(labels)).histogram;
    for (size_t i = 0; i <= N; ++i) {
      out.sample_count += static_cast<uint64_t>(histogram.counts[i]);
      const double bound =
          i < N ? static_cast<double>(bounds[i]) * unit : std::numeric_limits<double>::infinity();
      out.bucket.push_back({out.sample_count, bound});
    }
    out.sample_sum = static_cast<double>(histogram.sum) * unit;
  }

  // Adds a family that has one metric.
  template <class Number>
  void Gauge(const char* name, Number value, const char* help, Labels labels = {}) {
    Begin(MetricType::Gauge, name, help);
    Add(value, std::move(labels));
  }
  template <class Number>
  void Counter(const char* name, Number value, const char* help) {
    Begin(MetricType::Counter, name, help);
    Add(value);
  }
  template <size_t N>
  void Histogram(const char* name, const RequestMetrics::Histogram<N>& histogram,
                 const std::array<int64_t, N>& bounds, double unit, const char* help) {
    Begin(MetricType::Histogram, name, help);
    Add(histogram, bounds, unit);
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  prometheus::ClientMetric& AddMetric(Labels labels) {
    prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  std::vector<prometheus::MetricFamily> families_;
};

void AddCalls(const RequestMetrics::Counts& counts, Exposition& out) {
  out.Begin(MetricType::Counter, "qkserve_requests_total", "Calls answered.");
  for (size_t method = 0; method < kMethodNames.size(); ++method) {
    for (size_t i = 0; i < kStatusCodes; ++i) {
      const int64_t calls = counts.calls[method][i];
      const auto code = static_cast<absl::StatusCode>(i);
      // OK is shown even if it is 0, so that a rate has a first value.
      if (calls == 0 && code != absl::StatusCode::kOk) continue;
      out.Add(calls, {{"method", kMethodNames[method]}, {"code", absl::StatusCodeToString(code)}});
    }
  }
  out.Begin(MetricType::Histogram, "qkserve_request_duration_seconds",
            "From the arrival of a whole request (of uploads: from their beginning) until its "
            "answer is handed to gRPC.");
  for (size_t method = 0; method < kMethodNames.size(); ++method) {
    out.Add(counts.durations[method], kTimeBounds, kSecondsPerNanosecond,
            {{"method", kMethodNames[method]}});
  }
  out.Begin(MetricType::Counter, "qkserve_refused_requests_total",
            "Calls turned away before any of their work was done.");
  for (size_t i = 0; i < kRefusalNames.size(); ++i) {
    out.Add(counts.refusals[i], {{"reason", kRefusalNames[i]}});
  }
}

void AddWork(const RequestMetrics::Counts& counts, Exposition& out) {
  out.Histogram("qkserve_request_queue_seconds", counts.queued, kTimeBounds, kSecondsPerNanosecond,
                "Score requests answered with OK: from arrival to the start of their first tile.");
  out.Histogram("qkserve_request_compute_seconds", counts.computed, kTimeBounds,
                kSecondsPerNanosecond,
                "Score requests answered with OK: from the start of their first tile to the end of "
                "their last one.");
  out.Histogram("qkserve_batch_requests", counts.batch_requests, kBatchRequestsBounds, 1,
                "Requests that were answered together, of each batch.");
  out.Histogram("qkserve_batch_rows", counts.batch_rows, kBatchRowsBounds, 1,
                "Query rows that were answered together, of each batch.");
  out.Counter("qkserve_received_bytes_total", counts.received_bytes, "Bytes of request messages.");
  out.Counter("qkserve_sent_bytes_total", counts.sent_bytes,
              "Bytes of response messages of Score.");
}

void AddLoad(const ServerParts& parts, int64_t workers, Exposition& out) {
  const Batcher::Stats stats = parts.batcher->GetStats();
  out.Gauge("qkserve_in_flight_requests", parts.calls->count(),
            "Calls that have not been answered whole.");
  out.Gauge("qkserve_in_flight_bytes", parts.budget->bytes(),
            "Bytes charged for requests and results in flight.");
  out.Gauge("qkserve_in_flight_bytes_max", parts.budget->bytes_max(),
            "Their limit, --in_flight_bytes_max.");
  out.Gauge("qkserve_queue_requests", stats.queue.requests(), "Requests that wait for a worker.");
  out.Gauge("qkserve_queue_seconds",
            absl::ToDoubleSeconds(stats.queue.cost()) / static_cast<double>(workers),
            "Time that all workers together are predicted to need for what waits.");
}

void AddConnections(const ConnectionCounts& counts, Exposition& out) {
  out.Gauge("qkserve_connections", counts.open.load(), "gRPC's connections.");
  out.Gauge("qkserve_connections_max", counts.max.load(),
            "Their limit, --connections_max or what the limit of open files allows.");
  out.Counter("qkserve_connections_accepted_total", counts.accepted.load(),
              "Connections accepted for gRPC.");
  out.Begin(MetricType::Counter, "qkserve_connections_refused_total",
            "Connections closed at once, because a limit was reached.");
  for (size_t i = 0; i < kConnectionRefusalNames.size(); ++i) {
    out.Add(counts.refused[i].load(), {{"reason", kConnectionRefusalNames[i]}});
  }
}

void AddKeySets(const KeySetStore& store, Exposition& out) {
  const int64_t count = store.count();
  out.Gauge("qkserve_key_sets", count, "Key sets.");
  out.Gauge("qkserve_key_sets_with_problems", store.problem_count(),
            "Key sets of which something that is stored is not served.");
  out.Gauge("qkserve_key_sets_unserved", store.unserved_count(),
            "Key sets of which no version is served.");
  out.Gauge("qkserve_key_set_bytes", store.budget().bytes(), "Bytes of key sets in memory.");
  out.Gauge("qkserve_key_set_bytes_max", store.budget().bytes_max(),
            "Their limit, --key_set_memory.");
  const std::vector<KeySetStore::Listed> shown = store.List("", MetricsExporter::kKeySetsShownMax);
  out.Gauge("qkserve_key_sets_left_out",
            std::max(count - MetricsExporter::kKeySetsShownMax, int64_t{0}),
            "Key sets without metrics of their own: only the first 100 by name have them.");
  const auto add_each = [&](MetricType type, const char* name, const char* help,
                            const auto& value_of) {
    out.Begin(type, name, help);
    for (const KeySetStore::Listed& listed : shown) {
      if (listed.key_set.ok()) out.Add(value_of(**listed.key_set), {{"key_set", listed.name}});
    }
  };
  add_each(MetricType::Gauge, "qkserve_key_set_memory_bytes",
           "Bytes of the key set's newest version in memory.",
           [](const KeySet& key_set) { return key_set.memory_bytes(); });
  add_each(MetricType::Gauge, "qkserve_key_set_version", "The key set's newest version.",
           [](const KeySet& key_set) { return key_set.version(); });
  add_each(MetricType::Counter, "qkserve_key_set_requests_total",
           "Score requests on the key set answered with OK.",
           [](const KeySet& key_set) { return key_set.requests_served().load(); });
}

void AddTenants(const Tenants& tenants, Exposition& out) {
  out.Gauge("qkserve_tenants", tenants.count(), "Tenants that are remembered.");
  std::vector<std::pair<std::string, TenantCounts>> shown;
  for (const auto& tenant : tenants.Largest(MetricsExporter::kTenantsShownMax)) {
    shown.emplace_back(tenant->name(), tenant->counts());
  }
  out.Begin(MetricType::Counter, "qkserve_tenant_requests_total",
            "Score calls of the tenants that computed most, by what became of them.");
  for (const auto& [name, counts] : shown) {
    for (size_t i = 0; i < kTenantOutcomeNames.size(); ++i) {
      out.Add(counts.requests[i], {{"tenant", name}, {"outcome", kTenantOutcomeNames[i]}});
    }
  }
  out.Begin(
      MetricType::Counter, "qkserve_tenant_compute_seconds_total",
      "Time that workers spent on the tenant's calls. Calls that share a pass share its time.");
  for (const auto& [name, counts] : shown) {
    out.Add(absl::ToDoubleSeconds(counts.compute), {{"tenant", name}});
  }
  out.Begin(MetricType::Counter, "qkserve_tenant_queue_seconds_total",
            "Time that the tenant's calls answered with OK were queued.");
  for (const auto& [name, counts] : shown) {
    out.Add(absl::ToDoubleSeconds(counts.queue), {{"tenant", name}});
  }
}

void AddFiles(const FileReloader& files, Exposition& out) {
  const std::vector<FileReloader::Outcome> outcomes = files.outcomes();
  out.Begin(MetricType::Counter, "qkserve_file_reloads_total",
            "Times that watched files were read, at the start and after each change.");
  for (const FileReloader::Outcome& outcome : outcomes) {
    out.Add(outcome.applied, {{"file", outcome.flag}, {"outcome", "applied"}});
    out.Add(outcome.refused, {{"file", outcome.flag}, {"outcome", "refused"}});
  }
  out.Begin(MetricType::Gauge, "qkserve_file_last_reload_seconds",
            "When the contents in use were read, in seconds since the epoch.");
  for (const FileReloader::Outcome& outcome : outcomes) {
    out.Add(absl::ToDoubleSeconds(outcome.last_applied - absl::UnixEpoch()),
            {{"file", outcome.flag}});
  }
}

void AddAccess(const AccessControl& access, Exposition& out) {
  out.Begin(MetricType::Counter, "qkserve_unauthenticated_total",
            "Calls refused because they do not prove who they are.");
  for (size_t i = 0; i < kUnauthenticatedReasonNames.size(); ++i) {
    out.Add(access.unauthenticated(static_cast<UnauthenticatedReason>(i)),
            {{"reason", kUnauthenticatedReasonNames[i]}});
  }
}

void AddProcess(Exposition& out) {
  const ProcessStats stats = ProcessStats::Read();
  out.Counter("process_cpu_seconds_total", stats.cpu_seconds, "User and system CPU time.");
  out.Gauge("process_resident_memory_bytes", stats.resident_bytes, "Resident memory.");
  out.Gauge("process_virtual_memory_bytes", stats.virtual_bytes, "Virtual memory.");
  out.Gauge("process_open_fds", stats.open_files, "Open file descriptors.");
  out.Gauge("process_max_fds", stats.open_files_max, "Limit of open file descriptors.");
  out.Gauge("process_start_time_seconds", stats.start_time_seconds,
            "When the process started, in seconds since the epoch.");
  out.Gauge("process_threads", stats.threads, "Threads.");
}

}  // namespace

std::string MetricsExporter::WhyNotReady() const {
  const std::optional<ServerParts> attached = parts();
  const KeySetStore* const store = attached.has_value() ? attached->key_sets : nullptr;
  return qkserve::WhyNotReady(readiness_, ready_key_sets_, store == nullptr ? 0 : store->count(),
                              store == nullptr ? 0 : store->unserved_count());
}

std::string MetricsExporter::Text() const {
  Exposition out;
  out.Gauge("qkserve_ready", WhyNotReady().empty(),
            "1 where /readyz says 200: key sets are loaded, can be served (see --ready_key_sets), "
            "and the server does not drain.");
  out.Gauge("qkserve_build_info", 1, "Always 1.", {{"version", kVersion}});
  out.Gauge("qkserve_kernel_info", 1, "Always 1.",
            {{"kernel", compute_.kernel}, {"key_set_kernel", compute_.key_set_kernel}});
  out.Gauge("qkserve_workers", compute_.workers, "Threads that compute.");
  out.Counter("qkserve_log_lines_dropped_total", log_lines_dropped_(),
              "Lines of the log that were not written.");
  const RequestMetrics::Counts counts = metrics_.Read();
  AddCalls(counts, out);
  AddWork(counts, out);
  const std::optional<ServerParts> attached = parts();
  if (attached.has_value()) {
    AddLoad(*attached, compute_.workers, out);
    AddConnections(*attached->connections, out);
    AddKeySets(*attached->key_sets, out);
    AddAccess(*attached->access, out);
    AddTenants(*attached->tenants, out);
  }
  if (files_ != nullptr) AddFiles(*files_, out);
  out.Begin(MetricType::Gauge, "qkserve_tls_certificate_expires_seconds",
            "When the server's certificate expires, in seconds since the epoch.");
  if (tls_ != nullptr) {
    out.Add(absl::ToDoubleSeconds(tls_->identity()->expires - absl::UnixEpoch()));
  }
  AddProcess(out);
  return out.Text();
}

}  // namespace qkserve
