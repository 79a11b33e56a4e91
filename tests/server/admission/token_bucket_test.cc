#include "server/admission/token_bucket.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

class TokenBucketTest : public testing::Test {
 protected:
  absl::Duration Take(absl::Duration cost) { return bucket_.Take(cost, now_); }

  absl::Time now_ = absl::UnixEpoch();
  TokenBucket bucket_{0.5, now_};  // half a CPU
};

TEST_F(TokenBucketTest, AllowsTheWorkOfASecondAtOnceAndThenTheRate) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Take(absl::Milliseconds(100)), absl::ZeroDuration());
  EXPECT_EQ(Take(absl::Milliseconds(100)), absl::Milliseconds(200));
  now_ += absl::Milliseconds(150);
  EXPECT_EQ(Take(absl::Milliseconds(100)), absl::Milliseconds(50));
  now_ += absl::Milliseconds(50);
  EXPECT_EQ(Take(absl::Milliseconds(100)), absl::ZeroDuration());
  absl::Duration taken;
  for (int i = 0; i < 1000; ++i) {
    now_ += absl::Milliseconds(10);
    if (Take(absl::Milliseconds(8)) <= absl::ZeroDuration()) taken += absl::Milliseconds(8);
  }
  EXPECT_NEAR(absl::ToDoubleSeconds(taken), 5.0, 0.02);
}

TEST_F(TokenBucketTest, HoldsNoMoreThanASecondsWork) {
  now_ += absl::Hours(1);
  EXPECT_EQ(Take(absl::Milliseconds(500)), absl::ZeroDuration());
  EXPECT_GT(Take(absl::Milliseconds(1)), absl::ZeroDuration());
}

TEST_F(TokenBucketTest, WhatCostsMoreThanItHoldsNeedsAFullBucketAndOwesTheRest) {
  EXPECT_EQ(Take(absl::Seconds(2)), absl::ZeroDuration());
  EXPECT_EQ(Take(absl::Seconds(2)), absl::Seconds(4));
  now_ += absl::Seconds(4);
  EXPECT_EQ(Take(absl::Seconds(2)), absl::ZeroDuration());
}

TEST_F(TokenBucketTest, WhatIsGivenBackMayBeTakenAgain) {
  EXPECT_EQ(Take(absl::Milliseconds(500)), absl::ZeroDuration());
  bucket_.GiveBack(absl::Milliseconds(400));
  EXPECT_EQ(Take(absl::Milliseconds(400)), absl::ZeroDuration());
  bucket_.GiveBack(absl::Hours(1));
  EXPECT_EQ(Take(absl::Milliseconds(500)), absl::ZeroDuration());
  EXPECT_GT(Take(absl::Milliseconds(1)), absl::ZeroDuration());
}

TEST_F(TokenBucketTest, ARateOfZeroAllowsNothing) {
  bucket_.SetRate(0, now_);
  EXPECT_EQ(Take(absl::Nanoseconds(1)), absl::InfiniteDuration());
  bucket_.SetRate(1, now_);
  EXPECT_EQ(Take(absl::Milliseconds(10)), absl::Milliseconds(10));
}

TEST_F(TokenBucketTest, AClockThatGoesBackChangesNothing) {
  EXPECT_EQ(Take(absl::Milliseconds(500)), absl::ZeroDuration());
  now_ -= absl::Seconds(5);
  EXPECT_EQ(Take(absl::Milliseconds(100)), absl::Milliseconds(200));
}

}  // namespace
}  // namespace qkserve
