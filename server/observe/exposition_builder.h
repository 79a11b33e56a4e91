#ifndef QKSERVE_SERVER_OBSERVE_EXPOSITION_BUILDER_H_
#define QKSERVE_SERVER_OBSERVE_EXPOSITION_BUILDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"
#include "server/observe/request_metrics.h"

namespace qkserve {

// Puts values into prometheus-cpp's model of an exposition.
//
// Its own Counter and Histogram are not used: a Histogram there has a mutex, which all threads of
// the request path would meet at.
class ExpositionBuilder {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  // Begins a family; the calls of Add that follow belong to it.
  void Begin(const char* name, prometheus::MetricType type, const char* help);

  // To a counter or gauge.
  void Add(double value, Labels labels = {});

  // To a histogram. `unit` is what bounds and sum are multiplied by.
  template <size_t N>
  void Add(const std::array<int64_t, N>& bounds, const RequestMetrics::HistogramSum<N>& histogram,
           double unit, Labels labels = {}) {
    Add(bounds.data(), histogram.counts.data(), N, histogram.sum, unit, std::move(labels));
  }

  // A gauge or counter without labels.
  void Gauge(const char* name, double value, const char* help) {
    Begin(name, prometheus::MetricType::Gauge, help);
    Add(value);
  }
  void Counter(const char* name, double value, const char* help) {
    Begin(name, prometheus::MetricType::Counter, help);
    Add(value);
  }

  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  void Add(const int64_t* bounds, const int64_t* counts, size_t bounds_count, int64_t sum,
           double unit, Labels labels);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_EXPOSITION_BUILDER_H_
