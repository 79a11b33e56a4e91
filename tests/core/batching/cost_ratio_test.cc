#include "core/batching/cost_ratio.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

TEST(CostRatioTest, NothingLearnedMeansThatPredictionsAreRight) {
  EXPECT_DOUBLE_EQ(CostRatio().At(FakeClock().Now()), 1.0);
}

TEST(CostRatioTest, ItIsWhatWorkTookByWhatWasPredicted) {
  FakeClock clock;
  CostRatio ratio;
  for (int tile = 0; tile < 1000; ++tile) {
    clock.Advance(3 * kMs);
    ratio.Learn(kMs, 3 * kMs, clock.Now());
  }
  EXPECT_NEAR(ratio.At(clock.Now()), 3.0, 0.1);
}

TEST(CostRatioTest, AnInterruptedPieceWeighsNoMoreThanItsTime) {
  FakeClock clock;
  CostRatio ratio;
  for (int piece = 0; piece < 1000; ++piece) ratio.Learn(kMs, kMs, clock.Now());
  ratio.Learn(absl::Microseconds(10), 10 * kMs, clock.Now());
  EXPECT_NEAR(ratio.At(clock.Now()), 1.0, 0.02);
}

TEST(CostRatioTest, WhatWasLearnedIsForgotten) {
  FakeClock clock;
  CostRatio ratio;
  ratio.Learn(absl::Seconds(1), absl::Seconds(3), clock.Now());
  EXPECT_GT(ratio.At(clock.Now()), 2.9);
  clock.Advance(20 * CostRatio::kHalfLife);
  EXPECT_NEAR(ratio.At(clock.Now()), 1.0, 0.01);
  ratio.Learn(absl::Seconds(1), absl::Seconds(2), clock.Now());
  EXPECT_NEAR(ratio.At(clock.Now()), 2.0, 0.05);
}

TEST(CostRatioTest, ItIsBounded) {
  FakeClock clock;
  CostRatio slow;
  slow.Learn(absl::Seconds(9), absl::InfiniteDuration(), clock.Now());
  EXPECT_LE(slow.At(clock.Now()), CostRatio::kMax);
  EXPECT_GT(slow.At(clock.Now()), 0.9 * CostRatio::kMax);
  CostRatio fast;
  fast.Learn(absl::Seconds(9), absl::ZeroDuration(), clock.Now());
  EXPECT_GE(fast.At(clock.Now()), CostRatio::kMin);
  // A thread may have read the clock earlier than another thread that called Learn first.
  fast.Learn(absl::Seconds(9), absl::Seconds(9), clock.Now() - absl::Seconds(1));
  EXPECT_LE(fast.At(clock.Now() - absl::Hours(1)), 1.0);
}

}  // namespace
}  // namespace qkserve
