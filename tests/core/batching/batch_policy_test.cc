#include "core/batching/batch_policy.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/limit_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

constexpr BatchPolicyOptions Options() {
  BatchPolicyOptions options;
  options.workers = 2;
  return options;
}

JobSpec Small(absl::Duration cost = absl::Microseconds(20)) { return {.cost = cost}; }

TEST(BatchPolicyTest, ValidateNamesTheOption) {
  BatchPolicyOptions options = Options();
  EXPECT_TRUE(options.Validate().ok());
  options.workers = 0;
  EXPECT_EQ(options.Validate().message(), "workers must be at least 1; was 0");
  options = Options();
  options.threads = 1;
  EXPECT_EQ(options.Validate().message(), "threads must be 0 or at least workers = 2; was 1");
  options = Options();
  options.group_cost_max = absl::Microseconds(-1);
  EXPECT_THAT(options.Validate().message(), HasSubstr("group_cost_max"));
}

TEST(BatchPolicyTest, SmallIsOneCheapTile) {
  EXPECT_EQ(KindOf(Options(), Small()), WorkKind::kSmall);
  EXPECT_EQ(KindOf(Options(), Small(absl::Milliseconds(2))), WorkKind::kTiled);
  EXPECT_EQ(KindOf(Options(), {.tile_count = 2, .cost = absl::Microseconds(20)}), WorkKind::kTiled);
}

TEST(BatchPolicyTest, TinyWorkRunsOnArrivalOnlyOnAFreeSlotAndNeverPastTheQueue) {
  EXPECT_TRUE(RunsOnArrival(Options(), {}, Small()));
  EXPECT_TRUE(RunsOnArrival(Options(), {.busy = 1}, Small()));
  EXPECT_FALSE(RunsOnArrival(Options(), {.busy = 2}, Small()));
  EXPECT_FALSE(RunsOnArrival(Options(), {.small_requests = 1}, Small()));
  EXPECT_FALSE(RunsOnArrival(Options(), {.large_requests = 1}, Small()));
  EXPECT_FALSE(RunsOnArrival(Options(), {}, Small(absl::Microseconds(500))));
}

TEST(BatchPolicyTest, QueueIsBoundedByCount) {
  BatchPolicyOptions options = Options();
  options.queued_requests_max = 3;
  EXPECT_TRUE(AdmitToQueue(options, {.small_requests = 2}).ok());
  const absl::Status full = AdmitToQueue(options, {.small_requests = 2, .large_requests = 1});
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(LimitOf(full), "queue_requests_max");
}

// Returns the name of the limit that refuses a request, or "" if the request is admitted. `ahead`
// is the work before the request. `waiting` requests wait.
std::string LimitAfter(absl::Duration ahead, bool lane_is_standing, absl::Duration timeout,
                       int64_t waiting = 2) {
  BatchPolicyOptions options = Options();
  options.queued_time_max = absl::Seconds(2);
  const absl::Time now = absl::UnixEpoch();
  // Both workers together need 10 ms for this request.
  const JobSpec spec = {.tile_count = 4, .cost = absl::Milliseconds(20), .deadline = now + timeout};
  const QueueSummary others = {.large_requests = waiting};
  return LimitOf(AdmitByPrediction(options, others, spec, {ahead, lane_is_standing}, now));
}

TEST(BatchPolicyTest, AWaitIsCountedWithAReserve) {
  constexpr absl::Duration kNone = absl::InfiniteDuration();
  // Both workers together do 2.6 s of work in 1.3 s. With the reserve, this is 1.95 s.
  EXPECT_EQ(LimitAfter(absl::Seconds(2.6), false, kNone), "");
  EXPECT_EQ(LimitAfter(absl::Seconds(2.7), false, kNone), "queue_time_max");
  // After 100 ms of work, the wait with its reserve is 75 ms. The request itself takes 15 ms.
  EXPECT_EQ(LimitAfter(absl::Milliseconds(100), false, absl::Milliseconds(90)), "");
  EXPECT_EQ(LimitAfter(absl::Milliseconds(100), false, absl::Milliseconds(89)), "deadline");
  // A long deadline does not make a long queue.
  EXPECT_EQ(LimitAfter(absl::Seconds(3.3), false, absl::Hours(1)), "queue_time_max");
}

TEST(BatchPolicyTest, InAStandingQueueTheReserveIsAsLongAsTheWait) {
  constexpr absl::Duration kNone = absl::InfiniteDuration();
  EXPECT_EQ(LimitAfter(absl::Seconds(2), true, kNone), "");
  EXPECT_EQ(LimitAfter(absl::Seconds(2.1), true, kNone), "queue_time_max");
  EXPECT_EQ(LimitAfter(absl::Milliseconds(100), true, absl::Milliseconds(115)), "");
  EXPECT_EQ(LimitAfter(absl::Milliseconds(100), true, absl::Milliseconds(114)), "deadline");
}

TEST(BatchPolicyTest, OneRequestIsNoQueueHoweverLongItTakes) {
  constexpr absl::Duration kNone = absl::InfiniteDuration();
  EXPECT_EQ(LimitAfter(absl::Minutes(1), false, kNone, /*waiting=*/1), "");
  EXPECT_EQ(LimitAfter(absl::Minutes(1), true, absl::Hours(1), /*waiting=*/1), "");
  EXPECT_EQ(LimitAfter(absl::Minutes(1), true, absl::Minutes(1), /*waiting=*/1), "deadline");
}

TEST(BatchPolicyTest, AnEmptyQueueTakesAnything) {
  BatchPolicyOptions options = Options();
  options.queued_requests_max = 1;
  options.queued_time_max = absl::ZeroDuration();
  const absl::Time now = absl::UnixEpoch();
  EXPECT_TRUE(AdmitToQueue(options, {}).ok());
  EXPECT_TRUE(AdmitByPrediction(options, {}, {.cost = absl::Hours(1), .deadline = now},
                                {absl::Hours(1), true}, now)
                  .ok());
}

TEST(BatchPolicyTest, ARequestThatHasWaitedTooLongMakesRoomForOthers) {
  BatchPolicyOptions options = Options();
  options.queued_time_max = absl::Seconds(2);
  const absl::Time arrival = absl::UnixEpoch();
  const QueueSummary alone = {.large_requests = 1};
  const QueueSummary others = {.small_requests = 1, .large_requests = 1};
  EXPECT_FALSE(WaitedTooLong(options, others, arrival, arrival + absl::Seconds(2)));
  EXPECT_TRUE(WaitedTooLong(options, others, arrival, arrival + absl::Seconds(2.1)));
  EXPECT_FALSE(WaitedTooLong(options, alone, arrival, arrival + absl::Seconds(2.1)));
}

TEST(BatchPolicyTest, CallersWhoCanWaitLessRankFirstThenShorterRequests) {
  BatchPolicyOptions options = Options();
  options.queued_time_max = absl::Seconds(2);
  const absl::Time now = absl::UnixEpoch();
  const auto rank = [&](absl::Duration timeout, absl::Duration cost, absl::Duration age = {}) {
    return RankOf(options, {.cost = cost, .deadline = now - age + timeout}, now - age);
  };
  constexpr absl::Duration kShort = absl::Milliseconds(1);
  constexpr absl::Duration kLong = absl::Milliseconds(100);
  constexpr absl::Duration kNone = absl::InfiniteDuration();
  EXPECT_LT(rank(absl::Milliseconds(300), kLong), rank(kNone, kShort));
  EXPECT_LT(rank(kNone, kShort), rank(kNone, kLong));
  // A request without a deadline goes first once it has waited long enough. A deadline of an hour
  // ranks like none.
  EXPECT_LT(rank(kNone, kShort, absl::Seconds(1.8)), rank(absl::Milliseconds(300), kShort));
  EXPECT_EQ(rank(absl::Hours(1), kShort), rank(kNone, kShort));
}

TEST(BatchPolicyTest, RefusedCallersAreToldDifferentTimes) {
  const QueueSummary queue = {.large_requests = 1, .large_cost = absl::Milliseconds(200)};
  std::vector<absl::Duration> times;
  for (uint64_t refusal = 0; refusal < 100; ++refusal) {
    times.push_back(RetryAfter(Options(), queue, refusal));
  }
  std::sort(times.begin(), times.end());
  EXPECT_GE(times.front(), absl::Milliseconds(100));
  EXPECT_LT(times.back(), absl::Milliseconds(200));
  // The 100 times are spread evenly over 100 ms. Neighbours are at most 2 ms apart, twice the mean
  // gap.
  for (size_t i = 1; i < times.size(); ++i) {
    EXPECT_LE(times[i] - times[i - 1], absl::Milliseconds(2));
  }
  EXPECT_GE(RetryAfter(Options(), {}, 5), absl::Milliseconds(10));
  EXPECT_LE(RetryAfter(Options(), {.large_cost = absl::Hours(1)}, 5), absl::Seconds(2));
}

TEST(BatchPolicyTest, AGroupIsAnEvenShareWithinTheLimit) {
  BatchPolicyOptions options = Options();
  options.group_cost_max = absl::Milliseconds(1);
  EXPECT_EQ(GroupCost(options, {.small_requests = 4, .small_cost = absl::Microseconds(400)}),
            absl::Microseconds(200));
  EXPECT_EQ(GroupCost(options, {.small_requests = 4, .small_cost = absl::Seconds(1)}),
            absl::Milliseconds(1));
}

TEST(BatchPolicyTest, AJobJoinsAPassWithinItsLimits) {
  BatchPolicyOptions options;
  options.pass_requests_max = 3;
  options.pass_cost_max = absl::Milliseconds(10);
  EXPECT_TRUE(JoinsPass(options, 0, absl::ZeroDuration(), absl::Hours(1)));
  EXPECT_TRUE(JoinsPass(options, 1, absl::Milliseconds(9), absl::Milliseconds(1)));
  EXPECT_FALSE(JoinsPass(options, 1, absl::Milliseconds(9), absl::Milliseconds(2)));
  EXPECT_FALSE(JoinsPass(options, 3, absl::ZeroDuration(), absl::ZeroDuration()));
}

TEST(BatchPolicyTest, ItIsTooLateToBeginWhereOthersWaitAndTheTimeLeftIsShort) {
  BatchPolicyOptions options;
  options.workers = 2;
  const absl::Time now = absl::UnixEpoch();
  const QueueSummary alone = {.large_requests = 1};
  const QueueSummary others = {.small_requests = 1, .large_requests = 1};
  // Both workers together need 10 ms for this job.
  JobSpec spec = {.tile_count = 4, .cost = absl::Milliseconds(20)};
  EXPECT_FALSE(TooLateToBegin(options, others, spec, absl::ZeroDuration(), now));
  spec.deadline = now + absl::Milliseconds(14);
  EXPECT_TRUE(TooLateToBegin(options, others, spec, absl::ZeroDuration(), now));
  EXPECT_FALSE(TooLateToBegin(options, alone, spec, absl::ZeroDuration(), now));
  spec.deadline = now + absl::Milliseconds(15);
  EXPECT_FALSE(TooLateToBegin(options, others, spec, absl::ZeroDuration(), now));
  // A job of one tile gets one worker. A pass gets all workers.
  spec.tile_count = 1;
  EXPECT_TRUE(TooLateToBegin(options, others, spec, absl::ZeroDuration(), now));
  spec.group = GroupId{1};
  EXPECT_FALSE(TooLateToBegin(options, others, spec, absl::ZeroDuration(), now));
}

}  // namespace
}  // namespace qkserve
