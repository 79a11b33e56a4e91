#include "server/rpc/idle_watch.h"

#include <atomic>
#include <functional>

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

class IdleWatchTest : public testing::Test {
 protected:
  // Counts the calls that the watch ended. The watch's thread may look for idle calls at any time,
  // too.
  std::function<void()> Told(std::atomic<int>* count) {
    return [count] { ++*count; };
  }

  FakeClock clock_;
  IdleWatch watch_{&clock_, absl::Minutes(1)};
};

TEST_F(IdleWatchTest, TellsWhoHasWaitedForTooLongAndNobodyElse) {
  std::atomic<int> idle{0};
  std::atomic<int> busy{0};
  std::atomic<int> late{0};
  watch_.Arm(&idle, Told(&idle));
  watch_.Arm(&busy, Told(&busy));
  EXPECT_TRUE(watch_.Disarm(&busy));
  clock_.Advance(absl::Minutes(1) - absl::Nanoseconds(1));
  watch_.ExpireOverdue();
  EXPECT_EQ(idle, 0);
  watch_.Arm(&late, Told(&late));
  clock_.Advance(absl::Nanoseconds(1));
  watch_.ExpireOverdue();
  watch_.ExpireOverdue();
  EXPECT_EQ(idle, 1);
  EXPECT_EQ(late, 0);
  EXPECT_EQ(busy, 0);
  EXPECT_FALSE(watch_.Disarm(&idle));
  EXPECT_TRUE(watch_.Disarm(&late));
}

TEST_F(IdleWatchTest, WhoWaitsAgainIsGivenTheWholeTimeAgain) {
  std::atomic<int> told{0};
  for (int i = 0; i < 3; ++i) {
    watch_.Arm(&told, Told(&told));
    clock_.Advance(absl::Seconds(40));
    watch_.ExpireOverdue();
    EXPECT_TRUE(watch_.Disarm(&told));
  }
  EXPECT_EQ(told, 0);
}

TEST_F(IdleWatchTest, AShorterTimeHoldsForThoseWhoWait) {
  std::atomic<int> told{0};
  watch_.Arm(&told, Told(&told));
  clock_.Advance(absl::Seconds(40));
  watch_.ExpireOverdue();
  EXPECT_EQ(told, 0);
  watch_.SetIdleMax(absl::Seconds(30));
  watch_.ExpireOverdue();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(watch_.Disarm(&told));
}

// The test does not call ExpireOverdue. The watch's thread must find the idle call.
TEST_F(IdleWatchTest, AThreadLooks) {
  std::atomic<bool> told{false};
  watch_.Arm(&told, [&told] {
    told = true;
    told.notify_one();
  });
  clock_.Advance(absl::Minutes(1));
  told.wait(false);
}

}  // namespace
}  // namespace qkserve
