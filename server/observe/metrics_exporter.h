#ifndef QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_
#define QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/byte_budget.h"
#include "base/mutex.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "server/access/access_control.h"
#include "server/admission/compute_setup.h"
#include "server/admission/in_flight_calls.h"
#include "server/admission/tenants.h"
#include "server/lifecycle/acceptor.h"
#include "server/lifecycle/file_reloader.h"
#include "server/lifecycle/readiness.h"
#include "server/observe/request_metrics.h"

namespace qkserve {

class TlsFiles;

// The parts of the server that report their state. They outlive the users of this struct.
struct ServerParts {
  const Batcher* batcher = nullptr;
  const ByteBudget* budget = nullptr;
  const KeySetStore* key_sets = nullptr;
  const InFlightCalls* calls = nullptr;
  const ConnectionCounts* connections = nullptr;
  const AccessControl* access = nullptr;
  const Tenants* tenants = nullptr;
};

// Makes everything that /metrics shows: the counts of the request path, and the state of the
// server's parts. docs/metrics.md lists the names.
//
// The exporter exists before those parts. While key sets are being loaded, metrics that need the
// parts are absent. Thread-safe.
class MetricsExporter {
 public:
  // The most key sets with separate metrics. They are the first by name.
  static constexpr int64_t kKeySetsShownMax = 100;

  // The most tenants with separate metrics. They are those that computed most.
  static constexpr size_t kTenantsShownMax = 50;

  // `log_lines_dropped` is called from any thread. `files` and `tls` must outlive the calls of
  // Text. Null `files`: no files are watched. Null `tls`: there is no TLS.
  explicit MetricsExporter(
      ComputeSetup compute, std::function<int64_t()> log_lines_dropped = [] { return 0; },
      ReadyKeySets ready_key_sets = ReadyKeySets::kSome, const FileReloader* files = nullptr,
      const TlsFiles* tls = nullptr)
      : compute_(std::move(compute)),
        log_lines_dropped_(std::move(log_lines_dropped)),
        ready_key_sets_(ready_key_sets),
        files_(files),
        tls_(tls) {}

  const ComputeSetup& compute() const { return compute_; }

  RequestMetrics& metrics() { return metrics_; }
  const RequestMetrics& metrics() const { return metrics_; }

  // Returns why the server is not ready (readiness.h), or "" if it is ready.
  std::string WhyNotReady() const;
  void SetReadiness(Readiness readiness) { readiness_ = readiness; }

  // Makes Text ask these parts, too, from now on.
  void Attach(ServerParts parts) {
    MutexLock lock(&mutex_);
    parts_ = parts;
  }
  // The attached parts. nullopt: key sets are still being loaded.
  std::optional<ServerParts> parts() const {
    MutexLock lock(&mutex_);
    return parts_;
  }

  // Returns all metrics in Prometheus's text format.
  std::string Text() const;

 private:
  const ComputeSetup compute_;
  const std::function<int64_t()> log_lines_dropped_;
  const ReadyKeySets ready_key_sets_;
  const FileReloader* const files_;
  const TlsFiles* const tls_;
  RequestMetrics metrics_;
  std::atomic<Readiness> readiness_{Readiness::kLoading};
  mutable Mutex mutex_;
  std::optional<ServerParts> parts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_
