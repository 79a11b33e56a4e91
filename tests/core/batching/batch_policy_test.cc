#include "core/batching/batch_policy.h"

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

TEST(BatchPolicyTest, QueueIsBoundedByCountAndByPredictedTime) {
  BatchPolicyOptions options = Options();
  options.queued_requests_max = 3;
  options.queued_time_max = absl::Seconds(1);
  EXPECT_TRUE(AdmitToQueue(options, {.small_requests = 2}, Small()).ok());
  EXPECT_EQ(AdmitToQueue(options, {.small_requests = 2, .large_requests = 1}, Small()).code(),
            absl::StatusCode::kResourceExhausted);
  // Two workers do two seconds of work in one.
  const QueueSummary two_seconds = {.large_requests = 1, .large_cost = absl::Seconds(2)};
  EXPECT_THAT(AdmitToQueue(options, two_seconds, Small()).message(), HasSubstr("the limit is 1s"));
  const QueueSummary one_second = {.large_requests = 1, .large_cost = absl::Seconds(1)};
  EXPECT_TRUE(AdmitToQueue(options, one_second, Small()).ok());
}

TEST(BatchPolicyTest, AnEmptyQueueTakesAnything) {
  BatchPolicyOptions options = Options();
  options.queued_time_max = absl::ZeroDuration();
  EXPECT_TRUE(AdmitToQueue(options, {}, {.tile_count = 9, .cost = absl::Hours(1)}).ok());
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
  // On both workers this takes 10 ms.
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
