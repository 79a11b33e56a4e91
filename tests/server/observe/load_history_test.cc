#include "server/observe/load_history.h"

#include <limits>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

using testing::ElementsAre;

class LoadHistoryTest : public testing::Test {
 protected:
  // Counts `answered` more requests as answered, and takes a sample after `interval`.
  void Add(int64_t answered, absl::Duration interval = LoadHistory::kInterval) {
    counts_.answered += answered;
    clock_.Advance(interval);
    history_.Add(counts_, state_, 0);
  }
  std::vector<int64_t> Answered() const {
    std::vector<int64_t> answered;
    for (const LoadSample& sample : history_.samples()) answered.push_back(sample.counts.answered);
    return answered;
  }
  static LoadCounts CountsBefore() {
    LoadCounts counts;
    counts.answered = 100;
    counts.cpu_seconds = 5;
    return counts;
  }

  FakeClock clock_;
  LoadCounts counts_ = CountsBefore();
  std::optional<LoadState> state_;
  LoadHistory history_{counts_, &clock_};
};

TEST_F(LoadHistoryTest, IsEmptyAtFirst) {
  EXPECT_TRUE(history_.samples().empty());
  EXPECT_EQ(history_.first_number(), 1);
  EXPECT_EQ(history_.CountUpTo(0), 0U);
  EXPECT_EQ(history_.due(), clock_.Now() + absl::Seconds(1));
}

TEST_F(LoadHistoryTest, ASampleIsWhatItsIntervalAdded) {
  Add(3);
  Add(0);
  Add(4);
  EXPECT_THAT(Answered(), ElementsAre(3, 0, 4));
  EXPECT_EQ(history_.counts().answered, 107);
}

TEST_F(LoadHistoryTest, EveryCountIsADifferenceAndEveryStateIsNot) {
  const auto fill = [this](int64_t n) {
    counts_.answered = 100 + n;
    counts_.errors[5] = 2 * n;
    counts_.latency.counts[4] = 3 * n;
    counts_.latency.sum = 4 * n;
    counts_.batches = 5 * n;
    counts_.batch_requests = 6 * n;
    counts_.batch_rows = 7 * n;
    counts_.cpu_seconds = 5 + 0.5 * static_cast<double>(n);
    state_ = LoadState{.queue_requests = n, .in_flight_bytes = 10 * n};
  };
  fill(10);
  Add(0);
  fill(11);
  Add(0);
  const LoadSample& sample = history_.samples().back();
  EXPECT_EQ(sample.counts.answered, 1);
  EXPECT_EQ(sample.counts.errors[5], 2);
  EXPECT_EQ(sample.counts.latency.counts[4], 3);
  EXPECT_EQ(sample.counts.latency.sum, 4);
  EXPECT_EQ(sample.counts.batches, 5);
  EXPECT_EQ(sample.counts.batch_requests, 6);
  EXPECT_EQ(sample.counts.batch_rows, 7);
  EXPECT_DOUBLE_EQ(sample.counts.cpu_seconds, 0.5);
  EXPECT_EQ(sample.state->queue_requests, 11);
  EXPECT_EQ(sample.state->in_flight_bytes, 110);
}

TEST_F(LoadHistoryTest, KeepsTenMinutesAndNumbersEachSampleOnce) {
  constexpr auto kMax = static_cast<int64_t>(LoadHistory::kSamplesMax);
  EXPECT_EQ(LoadHistory::kInterval * kMax, absl::Minutes(10));
  for (int64_t i = 1; i <= 3 * kMax; ++i) {
    Add(i);
    ASSERT_LE(history_.samples().size(), LoadHistory::kSamplesMax);
    ASSERT_EQ(history_.samples().back().counts.answered, i);
    // In sample number i, i requests were answered.
    ASSERT_EQ(history_.samples().front().counts.answered, history_.first_number());
  }
  EXPECT_EQ(history_.first_number(), 2 * kMax + 1);
  EXPECT_EQ(history_.samples().back().at - history_.samples().front().at,
            absl::Minutes(10) - LoadHistory::kInterval);
}

TEST_F(LoadHistoryTest, AReaderGetsTheSamplesThatItDoesNotHave) {
  for (int i = 0; i < 3; ++i) Add(1);
  EXPECT_EQ(history_.CountUpTo(0), 0U);
  EXPECT_EQ(history_.CountUpTo(2), 2U);
  EXPECT_EQ(history_.CountUpTo(3), 3U);
  for (size_t i = 0; i < LoadHistory::kSamplesMax; ++i) Add(1);
  // This reader has missed some samples. It gets those that are left.
  EXPECT_EQ(history_.CountUpTo(2), 0U);
  EXPECT_EQ(history_.CountUpTo(history_.first_number()), 1U);
}

TEST_F(LoadHistoryTest, AReaderOfAnEarlierServerGetsAllSamples) {
  Add(1);
  Add(1);
  EXPECT_EQ(history_.CountUpTo(3), 0U);
  EXPECT_EQ(history_.CountUpTo(std::numeric_limits<int64_t>::max()), 0U);
}

TEST_F(LoadHistoryTest, ALateSampleSaysHowLongItsIntervalWas) {
  Add(1);
  Add(50, absl::Seconds(10));
  EXPECT_EQ(history_.samples().back().interval, absl::Seconds(10));
  EXPECT_EQ(history_.due(), clock_.Now() + LoadHistory::kInterval);
}

TEST_F(LoadHistoryTest, NothingIsLostIfTheClockStandsStill) {
  Add(1);
  Add(2, absl::ZeroDuration());
  Add(4);
  EXPECT_THAT(Answered(), ElementsAre(1, 6));
}

TEST_F(LoadHistoryTest, ASampleWhileKeySetsAreLoadedHasNoState) {
  Add(0);
  EXPECT_FALSE(history_.samples().back().state.has_value());
}

}  // namespace
}  // namespace qkserve
