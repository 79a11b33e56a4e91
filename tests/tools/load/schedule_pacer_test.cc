#include <set>

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tools/load/schedule.h"

namespace qkserve {
namespace {

using Step = Pacer::Step;

constexpr absl::Duration kLength = absl::Seconds(2);

Schedule TenASecond() { return Schedule({10, 10, {}, kLength}, Arrivals::kConstant, 1); }

class PacerTest : public testing::Test {
 protected:
  absl::Duration Now() const { return clock_.Now() - begin_; }

  // Sends what is due, with `in_flight` requests under way. Returns the last step.
  Step SendDue(Pacer& pacer, int64_t in_flight = 0) {
    for (;;) {
      const Step step = pacer.Next(Now(), in_flight);
      if (step.kind != Step::kSend) return step;
      sent_.push_back(step.at);
    }
  }

  FakeClock clock_;
  const absl::Time begin_ = clock_.Now();
  std::vector<absl::Duration> sent_;
};

TEST_F(PacerTest, SleepsUntilTheNextRequestIsDue) {
  Pacer pacer(TenASecond(), 0, 1, 100);
  EXPECT_EQ(SendDue(pacer).at, absl::Milliseconds(100));
  EXPECT_EQ(sent_.size(), 1u);
  clock_.Advance(absl::Milliseconds(99));
  EXPECT_EQ(SendDue(pacer).kind, Step::kSleep);
  EXPECT_EQ(sent_.size(), 1u);
  clock_.Advance(absl::Milliseconds(1));
  SendDue(pacer);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(PacerTest, WhatIsBehindIsSentWithItsIntendedTime) {
  Pacer pacer(TenASecond(), 0, 1, 100);
  clock_.Advance(absl::Milliseconds(350));  // this thread got no CPU
  SendDue(pacer);
  EXPECT_EQ(sent_, (std::vector<absl::Duration>{absl::ZeroDuration(), absl::Milliseconds(100),
                                                absl::Milliseconds(200), absl::Milliseconds(300)}));
}

TEST_F(PacerTest, ABoundInFlightDelaysAndDropsNothing) {
  Pacer pacer(TenASecond(), 0, 1, 1);
  clock_.Advance(absl::Milliseconds(450));
  const Step full = SendDue(pacer, /*in_flight=*/1);
  EXPECT_EQ(full.kind, Step::kFull);
  EXPECT_EQ(full.at, absl::ZeroDuration());
  EXPECT_TRUE(sent_.empty());
  SendDue(pacer, /*in_flight=*/0);
  EXPECT_EQ(sent_.size(), 5u);
}

TEST_F(PacerTest, SendersShareTheScheduleWhateverTheirNumber) {
  for (const int senders : {1, 2, 3, 7}) {
    std::multiset<absl::Duration> together;
    for (int sender = 0; sender < senders; ++sender) {
      Pacer pacer(TenASecond(), sender, senders, 100);
      for (Step step; (step = pacer.Next(kLength, 0)).kind == Step::kSend;)
        together.insert(step.at);
    }
    EXPECT_EQ(together.size(), 20u) << senders;
    EXPECT_EQ(std::set<absl::Duration>(together.begin(), together.end()).size(), 20u) << senders;
  }
}

TEST_F(PacerTest, EndsWithTheScheduleAndCountsWhatWasNotSent) {
  Pacer pacer(TenASecond(), 0, 1, 1);
  SendDue(pacer);
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(pacer.Next(Now(), 0).kind, Step::kEnd);
  EXPECT_EQ(pacer.TakeUnsent(absl::Seconds(1), kLength), 10);
  EXPECT_EQ(pacer.Next(Now(), 0).kind, Step::kEnd);
}

TEST_F(PacerTest, WhatWasSentIsNotUnsent) {
  Pacer pacer(TenASecond(), 0, 1, 100);
  clock_.Advance(kLength);
  EXPECT_EQ(SendDue(pacer).kind, Step::kEnd);
  EXPECT_EQ(sent_.size(), 20u);
  EXPECT_EQ(pacer.TakeUnsent(absl::ZeroDuration(), kLength), 0);
}

}  // namespace
}  // namespace qkserve
