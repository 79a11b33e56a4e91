#include "tools/load/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Returns latencies from nanoseconds to minutes. Orders of magnitude are equally frequent.
std::vector<int64_t> LogUniformLatenciesNs(size_t count) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(0, 11);
  std::vector<int64_t> latencies_ns(count);
  for (int64_t& latency_ns : latencies_ns) {
    latency_ns = static_cast<int64_t>(std::pow(10, exponent(random)));
  }
  return latencies_ns;
}

LatencyHistogram HistogramOf(const std::vector<int64_t>& latencies_ns) {
  LatencyHistogram histogram;
  for (const int64_t latency_ns : latencies_ns) histogram.Record(absl::Nanoseconds(latency_ns));
  return histogram;
}

int64_t NearestRank(const std::vector<int64_t>& sorted, double p) {
  const auto rank = static_cast<int64_t>(std::ceil(p / 100 * static_cast<double>(sorted.size())));
  return sorted[std::max<int64_t>(rank, 1) - 1];
}

void ExpectPercentilesOf(const LatencyHistogram& histogram, std::vector<int64_t> latencies_ns) {
  std::sort(latencies_ns.begin(), latencies_ns.end());
  for (const double p : {0.0, 0.1, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const int64_t expected_ns = NearestRank(latencies_ns, p);
    EXPECT_NEAR(static_cast<double>(absl::ToInt64Nanoseconds(histogram.Percentile(p))),
                static_cast<double>(expected_ns), 0.001 * static_cast<double>(expected_ns))
        << "p=" << p;
  }
}

TEST(LatencyHistogramTest, PercentilesAreWithinAThousandthOfASortedVector) {
  const std::vector<int64_t> latencies_ns = LogUniformLatenciesNs(20'000);
  ExpectPercentilesOf(HistogramOf(latencies_ns), latencies_ns);
}

TEST(LatencyHistogramTest, EveryMagnitudeIsWithinAThousandth) {
  for (int bit = 0; bit < 63; ++bit) {
    for (const int64_t offset : {-1, 0, 1}) {
      const int64_t latency_ns = (int64_t{1} << bit) + offset;
      // The histogram also has a smaller and a larger latency, so that the percentile cannot come
      // from the exact minimum or maximum.
      LatencyHistogram histogram = HistogramOf({0, latency_ns, INT64_MAX});
      EXPECT_NEAR(static_cast<double>(absl::ToInt64Nanoseconds(histogram.Percentile(50))),
                  static_cast<double>(latency_ns), 0.001 * static_cast<double>(latency_ns));
    }
  }
}

TEST(LatencyHistogramTest, ShortLatenciesAreExact) {
  for (int64_t latency_ns = 0; latency_ns < 1024; ++latency_ns) {
    const LatencyHistogram histogram = HistogramOf({0, latency_ns, 5000});
    EXPECT_EQ(histogram.Percentile(50), absl::Nanoseconds(latency_ns));
  }
}

TEST(LatencyHistogramTest, MergedHistogramsAreAsOneThatSawAll) {
  const std::vector<int64_t> latencies_ns = LogUniformLatenciesNs(3000);
  LatencyHistogram merged;
  const size_t third = latencies_ns.size() / 3;
  for (size_t part = 0; part < 3; ++part) {
    merged.Merge(HistogramOf(
        {latencies_ns.begin() + part * third, latencies_ns.begin() + (part + 1) * third}));
  }
  const LatencyHistogram whole = HistogramOf(latencies_ns);
  EXPECT_EQ(merged.Count(), 3000);
  EXPECT_EQ(merged.Min(), whole.Min());
  EXPECT_EQ(merged.Max(), whole.Max());
  EXPECT_NEAR(absl::ToDoubleSeconds(merged.Mean()), absl::ToDoubleSeconds(whole.Mean()), 1e-6);
  for (const double p : {1.0, 50.0, 99.9}) EXPECT_EQ(merged.Percentile(p), whole.Percentile(p));
}

TEST(LatencyHistogramTest, ExtremesAndMeanAreExact) {
  const LatencyHistogram histogram = HistogramOf({1'000'001, 2'000'003, 3'000'005});
  EXPECT_EQ(histogram.Min(), absl::Nanoseconds(1'000'001));
  EXPECT_EQ(histogram.Max(), absl::Nanoseconds(3'000'005));
  EXPECT_EQ(histogram.Mean(), absl::Nanoseconds(2'000'003));
  EXPECT_EQ(histogram.Percentile(0), histogram.Min());
  EXPECT_EQ(histogram.Percentile(100), histogram.Max());
}

TEST(LatencyHistogramTest, AnEmptyHistogramIsAllZeros) {
  LatencyHistogram histogram;
  histogram.Merge(LatencyHistogram());
  EXPECT_EQ(histogram.Count(), 0);
  EXPECT_EQ(histogram.Percentile(50), absl::ZeroDuration());
  EXPECT_EQ(histogram.Min(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Mean(), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, LatenciesOutOfRangeCountAsTheNearestInIt) {
  LatencyHistogram histogram;
  histogram.Record(absl::Nanoseconds(-5));
  EXPECT_EQ(histogram.Max(), absl::ZeroDuration());
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.Max(), absl::Nanoseconds(INT64_MAX));
}

}  // namespace
}  // namespace qkserve
