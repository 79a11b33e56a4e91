#ifndef QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_
#define QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/byte_budget.h"
#include "base/mutex.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "prometheus/collectable.h"
#include "server/lifecycle/readiness.h"
#include "server/observe/request_metrics.h"

namespace qkserve {

// Everything that /metrics shows: the counts of the request path, and what the parts of the server
// say of themselves when they are asked. docs/metrics.md lists the names.
//
// It is there before the parts are: while key sets are loaded, metrics that need them are absent.
// Thread-safe.
class MetricsExporter final : public prometheus::Collectable {
 public:
  // Key sets that have metrics of their own: the first by name.
  static constexpr int64_t kKeySetsShownMax = 100;

  struct Setup {
    std::string kernel;
    std::string key_set_kernel;
    int64_t workers = 0;
  };
  // `log_lines_dropped` is called from any thread.
  explicit MetricsExporter(
      Setup setup, std::function<int64_t()> log_lines_dropped = [] { return 0; })
      : setup_(std::move(setup)), log_lines_dropped_(std::move(log_lines_dropped)) {}

  RequestMetrics& metrics() { return metrics_; }
  Readiness& readiness() { return readiness_; }
  const Readiness& readiness() const { return readiness_; }

  // The pointers must outlive whoever asks for metrics.
  struct Parts {
    const Batcher* batcher = nullptr;
    const ByteBudget* budget = nullptr;
    const KeySetStore* key_sets = nullptr;
    // Calls that have not been answered whole.
    std::function<int64_t()> in_flight_requests;
  };
  void Attach(Parts parts);

  std::vector<prometheus::MetricFamily> Collect() const override;

  // In Prometheus's text format.
  std::string Text() const;

 private:
  const Setup setup_;
  const std::function<int64_t()> log_lines_dropped_;
  RequestMetrics metrics_;
  Readiness readiness_;
  mutable Mutex mutex_;
  std::optional<Parts> parts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_METRICS_EXPORTER_H_
