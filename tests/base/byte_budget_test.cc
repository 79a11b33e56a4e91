#include "base/byte_budget.h"

#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/limit_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ByteBudgetTest, ChargesUntilItIsFullAndGetsBytesBack) {
  ByteBudget budget("in_flight_bytes_max", 100);
  {
    const absl::StatusOr<ByteBudget::Charge> first = budget.TryCharge(60);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(budget.bytes(), 60);
    const absl::Status refused = budget.TryCharge(41).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(
        refused.message(),
        testing::HasSubstr("41 bytes are needed, 60 of in_flight_bytes_max = 100 are in use"));
    EXPECT_TRUE(budget.TryCharge(40).ok());
  }
  EXPECT_EQ(budget.bytes(), 0);
}

TEST(ByteBudgetTest, SaysWhereARequestCanNeverFit) {
  ByteBudget budget("in_flight_bytes_max", 100);
  EXPECT_THAT(budget.TryCharge(101).status().message(),
              testing::HasSubstr("more than in_flight_bytes_max = 100"));
}

TEST(ByteBudgetTest, ACallerIsToldToRetryIfChargesAreHeldShortly) {
  ByteBudget requests("in_flight_bytes_max", 100, absl::Milliseconds(70));
  const auto held = requests.TryCharge(60);
  EXPECT_EQ(RetryAfterOf(requests.TryCharge(41).status()), absl::Milliseconds(70));
  // The next caller is told a different time.
  EXPECT_GT(RetryAfterOf(requests.TryCharge(41).status()), absl::Milliseconds(71));
  EXPECT_LT(RetryAfterOf(requests.TryCharge(41).status()), absl::Milliseconds(140));
  EXPECT_FALSE(RetryAfterOf(requests.TryCharge(101).status()).has_value());
  ByteBudget sets("key_set_memory", 100);
  const auto held_long = sets.TryCharge(60);
  const absl::Status refused = sets.TryCharge(41).status();
  EXPECT_EQ(LimitOf(refused), "key_set_memory");
  EXPECT_FALSE(RetryAfterOf(refused).has_value());
}

TEST(ByteBudgetTest, WhatDoesNotFitBesideReservedBytesNeverFits) {
  ByteBudget budget("in_flight_bytes_max", 100, absl::Milliseconds(70), 40);
  EXPECT_EQ(budget.bytes(), 40);
  EXPECT_EQ(budget.bytes_max(), 100);
  const absl::Status refused = budget.TryCharge(61).status();
  EXPECT_EQ(refused.message(),
            "61 bytes are needed, more than in_flight_bytes_max = 100, of which 40 are reserved");
  EXPECT_FALSE(RetryAfterOf(refused).has_value());
  {
    const auto charge = budget.TryCharge(60);
    EXPECT_TRUE(charge.ok());
    EXPECT_TRUE(RetryAfterOf(budget.TryCharge(1).status()).has_value());
  }
  EXPECT_EQ(budget.bytes(), 40);
}

TEST(ByteBudgetTest, AMovedChargeIsReturnedOnce) {
  ByteBudget budget("in_flight_bytes_max", 100);
  {
    ByteBudget::Charge held;
    held = *budget.TryCharge(30);
    const ByteBudget::Charge moved = std::move(held);
    EXPECT_EQ(budget.bytes(), 30);
  }
  EXPECT_EQ(budget.bytes(), 0);
}

TEST(ByteBudgetTest, NeverExceedsItsLimitUnderContention) {
  ByteBudget budget("in_flight_bytes_max", 10);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&budget] {
      for (int i = 0; i < 20000; ++i) {
        const auto charge = budget.TryCharge(4);
        EXPECT_LE(budget.bytes(), 10);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.bytes(), 0);
}

}  // namespace
}  // namespace qkserve
