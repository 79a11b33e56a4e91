#include "core/batching/fair_turns.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr int first = 1;
constexpr int second = 2;

TEST(FairTurnsTest, EachGetsHalfOfTheTimeWhileBothHaveWork) {
  FairTurns<int> turns;
  turns.SetActive(first, true);
  turns.SetActive(second, true);
  absl::Duration times[3];
  for (int i = 0; i < 1000; ++i) {
    const int next = turns.Choose();
    const absl::Duration cost = next == first ? absl::Microseconds(300) : absl::Milliseconds(5);
    turns.Charge(next, cost);
    times[next] += cost;
  }
  EXPECT_NEAR(absl::FDivDuration(times[first], times[second]), 1.0, 0.05);
}

TEST(FairTurnsTest, WhoWasIdleHasNotSavedUp) {
  FairTurns<int> turns;
  turns.SetActive(second, true);
  for (int i = 0; i < 1000; ++i) turns.Charge(turns.Choose(), absl::Milliseconds(5));
  // The owner that was idle goes first, but it does not get back the five seconds that it missed.
  turns.SetActive(first, true);
  EXPECT_EQ(turns.Choose(), first);
  turns.Charge(first, absl::Milliseconds(6));
  EXPECT_EQ(turns.Choose(), second);
}

TEST(FairTurnsTest, WhoWasIdleHasSavedUpNoMoreThanIsAllowed) {
  FairTurns<int> turns(absl::Milliseconds(20));
  turns.SetActive(second, true);
  for (int i = 0; i < 1000; ++i) turns.Charge(turns.Choose(), absl::Milliseconds(5));
  // The owner that was idle gets its savings, and a portion at each end of them.
  const auto burst = [&] {
    turns.SetActive(first, true);
    int portions = 0;
    for (; turns.Choose() == first; ++portions) turns.Charge(first, absl::Milliseconds(5));
    turns.SetActive(first, false);
    return portions;
  };
  EXPECT_EQ(burst(), 6);
  // It has spent its savings, and comes back at once.
  EXPECT_EQ(burst(), 0);
  for (int i = 0; i < 2; ++i) turns.Charge(turns.Choose(), absl::Milliseconds(5));
  EXPECT_EQ(burst(), 2);
}

// Savings change when an owner gets its share, but not how much it gets.
TEST(FairTurnsTest, WhoComesAndGoesGetsNoMoreThanItsShare) {
  FairTurns<int> turns(absl::Milliseconds(20));
  turns.SetActive(second, true);
  absl::Duration times[3];
  for (int i = 0; i < 10000; ++i) {
    turns.SetActive(first, i % 3 != 0);
    const int next = turns.Choose();
    turns.Charge(next, absl::Milliseconds(1));
    times[next] += absl::Milliseconds(1);
  }
  EXPECT_NEAR(absl::FDivDuration(times[first], times[second]), 1.0, 0.05);
}

TEST(FairTurnsTest, LeavingDoesNotPayADebt) {
  FairTurns<int> turns;
  turns.SetActive(first, true);
  turns.SetActive(second, true);
  turns.SetActive(first, false);
  turns.Charge(first, absl::Milliseconds(50));  // the cost of a portion taken earlier
  turns.SetActive(first, true);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(turns.Choose(), second);
    turns.Charge(second, absl::Milliseconds(4));
  }
}

// A newcomer that went last would wait for a portion of every other owner.
TEST(FairTurnsTest, WhoComesGoesBeforeAllThatHaveTheSameClock) {
  constexpr int kBusy = 10;
  FairTurns<int> turns;
  for (int i = 0; i < kBusy; ++i) turns.SetActive(i, true);
  for (int i = 0; i < 3 * kBusy + 1; ++i) turns.Charge(turns.Choose(), absl::Milliseconds(5));
  turns.SetActive(kBusy, true);
  EXPECT_EQ(turns.Choose(), kBusy);
}

TEST(FairTurnsTest, ForgetsThoseThatAreGone) {
  FairTurns<int> turns;
  turns.SetActive(first, true);
  for (int i = 10; i < 1010; ++i) {
    turns.SetActive(i, true);
    turns.Charge(i, absl::Microseconds(1));
    turns.SetActive(i, false);
    turns.Charge(first, absl::Milliseconds(1));
    EXPECT_EQ(turns.Choose(), first);
  }
  EXPECT_EQ(turns.size(), 1U);
  turns.SetActive(first, false);
  EXPECT_EQ(turns.size(), 0U);
}

}  // namespace
}  // namespace qkserve
