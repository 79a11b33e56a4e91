#include "core/batching/ranked_costs.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr absl::Time kBegin = absl::UnixEpoch();
constexpr absl::Duration kStep = RankedCosts::kStep;

TEST(RankedCostsTest, OnlyWorkThatRanksBehindIsLeftOut) {
  RankedCosts costs;
  EXPECT_EQ(costs.UpTo(kBegin), absl::ZeroDuration());
  for (int i = 0; i < 10; ++i) costs.Add(kBegin + i * kStep, absl::Milliseconds(1));
  EXPECT_EQ(costs.total(), absl::Milliseconds(10));
  EXPECT_EQ(costs.UpTo(kBegin), absl::Milliseconds(1));
  EXPECT_EQ(costs.UpTo(kBegin + 4 * kStep), absl::Milliseconds(5));
  EXPECT_EQ(costs.UpTo(absl::InfiniteFuture()), absl::Milliseconds(10));
}

TEST(RankedCostsTest, WhatIsTakenAwayIsGone) {
  RankedCosts costs;
  const absl::Duration odd = absl::Milliseconds(10) / 3;
  costs.Add(kBegin, odd);
  costs.Add(kBegin + kStep, odd);
  costs.Add(kBegin, -odd);
  EXPECT_EQ(costs.total(), odd);
  EXPECT_EQ(costs.UpTo(kBegin), absl::ZeroDuration());
  costs.Add(kBegin + kStep, -odd);
  EXPECT_EQ(costs.total(), absl::ZeroDuration());
}

}  // namespace
}  // namespace qkserve
