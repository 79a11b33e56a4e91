#include "server/observe/exposition_builder.h"

#include <limits>

namespace qkserve {

void ExpositionBuilder::Begin(const char* name, prometheus::MetricType type, const char* help) {
  families_.push_back({name, help, type, {}});
}

void ExpositionBuilder::Add(double value, Labels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (families_.back().type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  families_.back().metric.push_back(std::move(metric));
}

void ExpositionBuilder::Add(const int64_t* bounds, const int64_t* counts, size_t bounds_count,
                            int64_t sum, double unit, Labels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= bounds_count; ++i) {
    cumulative += static_cast<uint64_t>(counts[i]);
    metric.histogram.bucket.push_back({cumulative, i < bounds_count
                                                       ? static_cast<double>(bounds[i]) * unit
                                                       : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = static_cast<double>(sum) * unit;
  families_.back().metric.push_back(std::move(metric));
}

}  // namespace qkserve
