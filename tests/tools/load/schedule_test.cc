#include "tools/load/schedule.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

std::vector<absl::Duration> All(Schedule schedule) {
  std::vector<absl::Duration> times;
  for (absl::Duration at; (at = schedule.Next()) != absl::InfiniteDuration();) times.push_back(at);
  return times;
}

int CountBetween(const std::vector<absl::Duration>& times, absl::Duration begin,
                 absl::Duration end) {
  int count = 0;
  for (const absl::Duration at : times) count += begin <= at && at < end ? 1 : 0;
  return count;
}

TEST(ScheduleTest, ConstantArrivalsAreEquallyFarApart) {
  const auto times =
      All(Schedule({100, 100, absl::Seconds(1), absl::Seconds(2)}, Arrivals::kConstant, 1));
  ASSERT_EQ(times.size(), 300u);
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_NEAR(absl::ToDoubleSeconds(times[i]), 0.01 * static_cast<double>(i), 1e-9);
  }
}

TEST(ScheduleTest, PoissonArrivalsHaveTheRateAndItsVariance) {
  const auto times = All(Schedule({1000, 1000, {}, absl::Seconds(100)}, Arrivals::kPoisson, 7));
  // The bound is five standard deviations of a count of 100 000.
  EXPECT_NEAR(static_cast<double>(times.size()), 100'000, 5 * std::sqrt(100'000));
  // The number of requests in 100 ms has a mean of 100 and a variance of 100.
  double squares = 0;
  for (int i = 0; i < 1000; ++i) {
    const int count =
        CountBetween(times, i * absl::Milliseconds(100), (i + 1) * absl::Milliseconds(100));
    squares += (count - 100.0) * (count - 100.0);
  }
  EXPECT_NEAR(squares / 1000, 100, 5 * 100 * std::sqrt(2.0 / 1000));
}

TEST(ScheduleTest, TheSameSeedGivesTheSameTimes) {
  const RateProfile profile = {500, 500, {}, absl::Seconds(1)};
  EXPECT_EQ(All(Schedule(profile, Arrivals::kPoisson, 3)),
            All(Schedule(profile, Arrivals::kPoisson, 3)));
  EXPECT_NE(All(Schedule(profile, Arrivals::kPoisson, 3)),
            All(Schedule(profile, Arrivals::kPoisson, 4)));
}

TEST(ScheduleTest, ARampChangesTheRateEvenly) {
  for (const auto& [from, to] : {std::pair{0.0, 1000.0}, {1000.0, 0.0}, {200.0, 800.0}}) {
    const RateProfile profile = {from, to, absl::Seconds(2), absl::Seconds(10)};
    const auto times = All(Schedule(profile, Arrivals::kConstant, 1));
    EXPECT_NEAR(static_cast<double>(times.size()), 2 * from + 10 * (from + to) / 2, 1.5);
    for (int second = 2; second < 12; ++second) {
      const double expected = profile.RateAt(absl::Seconds(second + 0.5));
      EXPECT_NEAR(CountBetween(times, absl::Seconds(second), absl::Seconds(second + 1)), expected,
                  1.5)
          << from << ":" << to << " at " << second;
    }
  }
}

TEST(ScheduleTest, WhatIsExpectedBeforeATimeIsExpectedThen) {
  const RateProfile profile = {50, 200, absl::Seconds(1), absl::Seconds(4)};
  for (double seconds = 0.1; seconds < 4.95; seconds += 0.1) {
    const absl::Duration at = absl::Seconds(seconds);
    EXPECT_NEAR(absl::ToDoubleSeconds(profile.WhenExpected(profile.ExpectedBefore(at))), seconds,
                1e-9);
  }
  EXPECT_EQ(profile.WhenExpected(profile.ExpectedBefore(absl::Hours(1)) + 0.001),
            absl::InfiniteDuration());
}

}  // namespace
}  // namespace qkserve
