#include "gtest/gtest.h"
#include "tools/load/find_peak.h"

namespace qkserve {
namespace {

// Searches on a server that holds the limit up to the rate `capacity`. Returns the number of steps.
int Search(PeakSearch& search, double capacity) {
  int steps = 0;
  for (; search.Next().has_value(); ++steps) search.Record(*search.Next() <= capacity);
  return steps;
}

TEST(PeakSearchTest, FindsTheCapacityWithinFivePercent) {
  for (const double capacity : {0.7, 3.0, 99.0, 100.0, 101.0, 12'345.0, 500'000.0}) {
    PeakSearch search(100, 0.1);
    EXPECT_LE(Search(search, capacity), 30) << capacity;
    ASSERT_TRUE(search.held().has_value()) << capacity;
    EXPECT_LE(*search.held(), capacity);
    EXPECT_GE(*search.held() * 1.05, capacity);
    EXPECT_GT(*search.failed(), capacity);
  }
}

TEST(PeakSearchTest, GivesUpWhereNothingHolds) {
  PeakSearch search(100, 0.1);
  EXPECT_LE(Search(search, 0), 24);
  EXPECT_FALSE(search.held().has_value());
}

TEST(PeakSearchTest, GoesNoLowerThanItMay) {
  PeakSearch search(100, 30);
  EXPECT_EQ(Search(search, 0), 4);  // 100 and 50, twice each
  EXPECT_EQ(search.failed(), 50);
}

TEST(PeakSearchTest, EndsWhereEverythingHolds) {
  PeakSearch search(100, 0.1);
  EXPECT_LE(Search(search, 1e12), 20);
  EXPECT_FALSE(search.failed().has_value());
}

TEST(PeakSearchTest, OneFailureIsTriedAgain) {
  PeakSearch search(100, 0.1);
  search.Record(false);
  EXPECT_EQ(search.Next(), 100);
  search.Record(true);
  EXPECT_EQ(search.Next(), 200);
  search.Record(false);
  search.Record(false);
  EXPECT_EQ(search.held(), 100);
  EXPECT_EQ(search.failed(), 200);
}

class LimitTest : public testing::Test {
 protected:
  // Returns the counts of one second at 1000/s. `over` of the answers are over the limit.
  static LoadCounts Counts(int64_t answered, int64_t over) {
    LoadCounts counts;
    counts.sent = counts.ok = answered;
    counts.within_limit = answered - over;
    return counts;
  }
  static LoadOptions Options() {
    LoadOptions options;
    options.rate_from = options.rate_to = 1000;
    options.duration = absl::Seconds(4);
    return options;
  }
  bool Lost(absl::Duration at, const LoadCounts& counts) const {
    const LoadOptions options = Options();
    return LostLimit({options, at, counts}, limit_);
  }

  const LatencyLimit limit_ = {99, absl::Milliseconds(50)};
};

TEST_F(LimitTest, AStepIsNotLostWhileItMayStillHold) {
  EXPECT_FALSE(Lost(absl::Seconds(1), Counts(1000, 0)));
  // The limit lets 40 of 4000 requests take longer.
  EXPECT_FALSE(Lost(absl::Seconds(1), Counts(1000, 40)));
  EXPECT_FALSE(Lost(absl::ZeroDuration(), Counts(0, 0)));
  // The requests of the last 50 ms may still be answered in time.
  EXPECT_FALSE(Lost(absl::Seconds(1), Counts(950, 0)));
}

TEST_F(LimitTest, AStepIsLostOnceTooManyAreOver) {
  EXPECT_TRUE(Lost(absl::Seconds(1), Counts(1000, 200)));
  // Errors count as over the limit.
  LoadCounts counts = Counts(800, 0);
  counts.errors_by_code[absl::StatusCode::kResourceExhausted].count = 200;
  EXPECT_TRUE(Lost(absl::Seconds(1), counts));
  // Nearly all requests wait.
  EXPECT_TRUE(Lost(absl::Seconds(1), Counts(1, 0)));
  // A step without any answer is not lost yet.
  EXPECT_FALSE(Lost(absl::Seconds(1), Counts(0, 0)));
}

TEST_F(LimitTest, UnsentRequestsAndErrorsDoNotHold) {
  LoadResult result;
  result.options = Options();
  result.counts = Counts(1000, 10);
  EXPECT_TRUE(HeldLimit(result, limit_));
  result.counts.unsent = 10;
  EXPECT_FALSE(HeldLimit(result, limit_));
  result.counts = Counts(0, 0);
  EXPECT_FALSE(HeldLimit(result, limit_));
  // Enough answers were in time, but not all requests were sent.
  result.counts = Counts(950, 0);
  EXPECT_TRUE(HeldLimit(result, {90, limit_.latency}));
  result.counts.unsent = 50;
  EXPECT_FALSE(HeldLimit(result, {90, limit_.latency}));
}

}  // namespace
}  // namespace qkserve
