#include "server/idle_watch.h"

#include <atomic>

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

// The thread that looks does so in real time; what time it is the clock says.
constexpr absl::Duration kIdleMax = absl::Milliseconds(4);

class IdleWatchTest : public testing::Test {
 protected:
  void AwaitTold(int64_t count) {
    while (told_ < count) std::this_thread::yield();
  }

  FakeClock clock_;
  std::atomic<int64_t> told_{0};
  IdleWatch watch_{&clock_, kIdleMax};
};

TEST_F(IdleWatchTest, TellsWhoHasWaitedForTooLongAndNobodyElse) {
  int idle = 0;
  int busy = 0;
  int late = 0;
  std::atomic<bool> wrong{false};
  watch_.Begin(&idle, [this] { ++told_; });
  watch_.Begin(&busy, [&] { wrong = true; });
  EXPECT_TRUE(watch_.End(&busy));
  clock_.Advance(kIdleMax - absl::Nanoseconds(1));
  watch_.Begin(&late, [&] { wrong = true; });
  clock_.Advance(absl::Nanoseconds(1));
  AwaitTold(1);
  EXPECT_FALSE(watch_.End(&idle));
  EXPECT_TRUE(watch_.End(&late));
  EXPECT_FALSE(wrong);
}

TEST_F(IdleWatchTest, WhoWaitsAgainIsGivenTheWholeTimeAgain) {
  int who = 0;
  for (int64_t i = 0; i < 10; ++i) {
    watch_.Begin(&who, [this] { ++told_; });
    clock_.Advance(kIdleMax / 2);
    EXPECT_TRUE(watch_.End(&who));
  }
  EXPECT_EQ(told_, 0);
}

TEST_F(IdleWatchTest, AShorterTimeHoldsForThoseWhoWait) {
  int who = 0;
  watch_.SetIdleMax(absl::Hours(1));
  watch_.Begin(&who, [this] { ++told_; });
  clock_.Advance(absl::Minutes(1));
  watch_.SetIdleMax(absl::Seconds(30));
  AwaitTold(1);
  EXPECT_FALSE(watch_.End(&who));
}

}  // namespace
}  // namespace qkserve
