#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace qkserve::bench {

double Quantile(absl::Span<const double> sample, double quantile) {
  if (sample.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sorted(sample.begin(), sample.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

double Mean(absl::Span<const double> sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double RequestsABatch(absl::Span<const double> batch_requests) {
  double batches = 0;
  for (const double size : batch_requests) batches += 1 / size;
  return static_cast<double>(batch_requests.size()) / batches;
}

Ratio CompareRounds(double median_a, double median_b, absl::Span<const double> rounds_a,
                    absl::Span<const double> rounds_b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(rounds_a.size(), rounds_b.size()); ++i) {
    ratios.push_back(rounds_a[i] / rounds_b[i]);
  }
  return {median_a / median_b, Quantile(ratios, 0.25), Quantile(ratios, 0.75)};
}

}  // namespace qkserve::bench
