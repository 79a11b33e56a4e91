#ifndef QKSERVE_BENCH_STATISTICS_H_
#define QKSERVE_BENCH_STATISTICS_H_

#include "absl/types/span.h"

namespace qkserve::bench {

// Returns the value that a part `quantile` (0 to 1) of the sample does not exceed. The value is
// interpolated between neighbours. NaN if the sample is empty.
double Quantile(absl::Span<const double> sample, double quantile);

// Returns the mean. NaN if the sample is empty.
double Mean(absl::Span<const double> sample);

// Returns the mean number of requests in a batch, from the size of each request's batch. The result
// is the harmonic mean of the sizes, because a batch of b requests gives b of them. NaN if the
// sample is empty.
double RequestsABatch(absl::Span<const double> batch_requests);

inline double Median(absl::Span<const double> sample) { return Quantile(sample, 0.5); }

// The ratio of two contenders. `ratio` is the ratio of the medians over all rounds. The quartiles
// are taken over the ratios of single rounds. They show how much the machine's noise blurs the
// comparison.
struct Ratio {
  double ratio = 0;
  double lower_quartile = 0;
  double upper_quartile = 0;
};

// Compares two contenders. rounds_a and rounds_b have one value for each round.
Ratio CompareRounds(double median_a, double median_b, absl::Span<const double> rounds_a,
                    absl::Span<const double> rounds_b);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_STATISTICS_H_
