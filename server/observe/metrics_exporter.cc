#include "server/observe/metrics_exporter.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "prometheus/text_serializer.h"
#include "qkserve/version.h"
#include "server/observe/exposition_builder.h"
#include "server/observe/process_stats.h"

namespace qkserve {
namespace {

using prometheus::MetricType;

constexpr double kSecondsPerNanosecond = 1e-9;
constexpr auto kStatusCodeOk = static_cast<size_t>(absl::StatusCode::kOk);

void AddCalls(const RequestMetrics::Snapshot& counts, ExpositionBuilder& out) {
  out.Begin("qkserve_requests_total", MetricType::Counter, "Calls answered.");
  for (size_t method = 0; method < kMethodNames.size(); ++method) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      const int64_t calls = counts.calls[method][code];
      // OK is there from the start, so that a rate has a first value.
      if (calls == 0 && code != kStatusCodeOk) continue;
      out.Add(static_cast<double>(calls),
              {{"method", kMethodNames[method]},
               {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
    }
  }
  out.Begin("qkserve_request_duration_seconds", MetricType::Histogram,
            "From the arrival of a whole request (of uploads: from their beginning) until its "
            "answer is handed to gRPC.");
  for (size_t method = 0; method < kMethodNames.size(); ++method) {
    out.Add(kTimeBounds, counts.durations[method], kSecondsPerNanosecond,
            {{"method", kMethodNames[method]}});
  }
  out.Begin("qkserve_refused_requests_total", MetricType::Counter,
            "Calls turned away before any of their work was done.");
  for (size_t i = 0; i < kRefusalNames.size(); ++i) {
    out.Add(static_cast<double>(counts.refusals[i]), {{"reason", kRefusalNames[i]}});
  }
}

void AddWork(const RequestMetrics::Snapshot& counts, ExpositionBuilder& out) {
  out.Begin("qkserve_request_queue_seconds", MetricType::Histogram,
            "Score requests answered with OK: from arrival to the start of their first tile.");
  out.Add(kTimeBounds, counts.queued, kSecondsPerNanosecond);
  out.Begin("qkserve_request_compute_seconds", MetricType::Histogram,
            "Score requests answered with OK: from the start of their first tile to the end of "
            "their last one.");
  out.Add(kTimeBounds, counts.computed, kSecondsPerNanosecond);
  out.Begin("qkserve_batch_requests", MetricType::Histogram,
            "Requests that were answered together, of each batch.");
  out.Add(kBatchRequestsBounds, counts.batch_requests, 1);
  out.Begin("qkserve_batch_rows", MetricType::Histogram,
            "Query rows that were answered together, of each batch.");
  out.Add(kBatchRowsBounds, counts.batch_rows, 1);
  out.Counter("qkserve_received_bytes_total", static_cast<double>(counts.received_bytes),
              "Bytes of request messages.");
  out.Counter("qkserve_sent_bytes_total", static_cast<double>(counts.sent_bytes),
              "Bytes of response messages of Score.");
}

void AddLoad(const MetricsExporter::Parts& parts, int64_t workers, ExpositionBuilder& out) {
  const Batcher::Stats stats = parts.batcher->GetStats();
  out.Gauge("qkserve_in_flight_requests", static_cast<double>(parts.in_flight_requests()),
            "Calls that have not been answered whole.");
  out.Gauge("qkserve_in_flight_bytes", static_cast<double>(parts.budget->bytes()),
            "Bytes charged for requests and results in flight.");
  out.Gauge("qkserve_in_flight_bytes_max", static_cast<double>(parts.budget->bytes_max()),
            "Their limit, --in_flight_bytes_max.");
  out.Gauge("qkserve_queue_requests", static_cast<double>(stats.queue.requests()),
            "Requests that wait for a worker.");
  out.Gauge("qkserve_queue_seconds",
            absl::ToDoubleSeconds(stats.queue.cost()) / static_cast<double>(workers),
            "Time that all workers together are predicted to need for what waits.");
}

void AddKeySets(const KeySetStore& store, ExpositionBuilder& out) {
  const int64_t count = store.count();
  out.Gauge("qkserve_key_sets", static_cast<double>(count), "Key sets.");
  out.Gauge("qkserve_key_sets_with_problems", static_cast<double>(store.problem_count()),
            "Key sets of which something that is stored is not served.");
  out.Gauge("qkserve_key_set_bytes", static_cast<double>(store.budget().bytes()),
            "Bytes of key sets in memory.");
  out.Gauge("qkserve_key_set_bytes_max", static_cast<double>(store.budget().bytes_max()),
            "Their limit, --key_set_memory.");
  const std::vector<KeySetStore::Listed> shown = store.List("", MetricsExporter::kKeySetsShownMax);
  out.Gauge("qkserve_key_sets_left_out",
            static_cast<double>(std::max(count - MetricsExporter::kKeySetsShownMax, int64_t{0})),
            "Key sets without metrics of their own: only the first 100 by name have them.");
  const auto add_each = [&](const char* name, MetricType type, const char* help,
                            const auto& value_of) {
    out.Begin(name, type, help);
    for (const KeySetStore::Listed& listed : shown) {
      if (!listed.key_set.ok()) continue;
      out.Add(static_cast<double>(value_of(**listed.key_set)), {{"key_set", listed.name}});
    }
  };
  add_each("qkserve_key_set_memory_bytes", MetricType::Gauge,
           "Bytes of the key set's newest version in memory.",
           [](const KeySet& key_set) { return key_set.memory_bytes(); });
  add_each("qkserve_key_set_version", MetricType::Gauge, "The key set's newest version.",
           [](const KeySet& key_set) { return key_set.version(); });
  add_each("qkserve_key_set_requests_total", MetricType::Counter,
           "Score requests on the key set answered with OK.",
           [](const KeySet& key_set) { return key_set.requests_served().load(); });
}

void AddProcess(ExpositionBuilder& out) {
  const ProcessStats stats = ProcessStats::Read();
  out.Counter("process_cpu_seconds_total", stats.cpu_seconds, "User and system CPU time.");
  out.Gauge("process_resident_memory_bytes", static_cast<double>(stats.resident_bytes),
            "Resident memory.");
  out.Gauge("process_virtual_memory_bytes", static_cast<double>(stats.virtual_bytes),
            "Virtual memory.");
  out.Gauge("process_open_fds", static_cast<double>(stats.open_files), "Open file descriptors.");
  out.Gauge("process_max_fds", static_cast<double>(stats.open_files_max),
            "Limit of open file descriptors.");
  out.Gauge("process_start_time_seconds", stats.start_time_seconds,
            "When the process started, in seconds since the epoch.");
  out.Gauge("process_threads", static_cast<double>(stats.threads), "Threads.");
}

}  // namespace

void MetricsExporter::Attach(Parts parts) {
  MutexLock lock(&mutex_);
  parts_ = std::move(parts);
}

std::vector<prometheus::MetricFamily> MetricsExporter::Collect() const {
  ExpositionBuilder out;
  out.Gauge("qkserve_ready", readiness_.state() == Readiness::State::kServing ? 1 : 0,
            "1 where the server takes requests: key sets are loaded and it does not drain.");
  out.Begin("qkserve_build_info", MetricType::Gauge, "Always 1.");
  out.Add(1, {{"version", kVersion}});
  out.Begin("qkserve_kernel_info", MetricType::Gauge, "Always 1.");
  out.Add(1, {{"kernel", setup_.kernel}, {"key_set_kernel", setup_.key_set_kernel}});
  out.Gauge("qkserve_workers", static_cast<double>(setup_.workers), "Threads that compute.");
  out.Counter("qkserve_log_lines_dropped_total", static_cast<double>(log_lines_dropped_()),
              "Lines of the log that were not written.");

  const RequestMetrics::Snapshot counts = metrics_.Read();
  AddCalls(counts, out);
  AddWork(counts, out);
  std::optional<Parts> parts;
  {
    MutexLock lock(&mutex_);
    parts = parts_;
  }
  if (parts.has_value()) {
    AddLoad(*parts, setup_.workers, out);
    AddKeySets(*parts->key_sets, out);
  }
  AddProcess(out);
  return out.Take();
}

std::string MetricsExporter::Text() const {
  return prometheus::TextSerializer().Serialize(Collect());
}

}  // namespace qkserve
