#include "core/batching/batch_queue.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

// The test is the worker: it takes assignments and says when tiles are done.
class BatchQueueTest : public testing::Test {
 protected:
  BatchQueueTest() {
    options_.workers = 2;
    options_.group_cost_max = absl::Milliseconds(1);
    queue_ = std::make_unique<BatchQueue>(options_);
  }

  std::shared_ptr<QueuedJob> Push(const JobSpec& spec) {
    auto job = std::make_shared<QueuedJob>();
    job->job = std::make_unique<PuppetJob>(strings_);
    job->spec = spec;
    job->arrival = clock_.Now();
    EXPECT_TRUE(queue_->Push(job).ok());
    return job;
  }
  std::shared_ptr<QueuedJob> PushSmall(absl::Duration cost = absl::Microseconds(100)) {
    return Push({.cost = cost});
  }
  std::shared_ptr<QueuedJob> PushLarge(int64_t tiles, absl::Duration cost) {
    return Push({.tile_count = tiles, .cost = cost});
  }
  Assignment Take() { return queue_->Take(clock_.Now()); }

  FakeClock clock_;
  BatchPolicyOptions options_;
  std::unique_ptr<BatchQueue> queue_;
  std::shared_ptr<PuppetStrings> strings_ = std::make_shared<PuppetStrings>();
};

TEST_F(BatchQueueTest, AnEmptyQueueGivesNothing) {
  EXPECT_FALSE(Take().HasWork());
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_TRUE(queue_->TurnIsFree());
}

TEST_F(BatchQueueTest, SmallJobsAreTakenInGroupsInOrderOfArrival) {
  std::vector<std::shared_ptr<QueuedJob>> jobs;
  for (int i = 0; i < 8; ++i) jobs.push_back(PushSmall());
  // An even share: 8 x 100 us over two workers.
  const Assignment first = Take();
  EXPECT_THAT(first.group, testing::ElementsAre(jobs[0], jobs[1], jobs[2], jobs[3]));
  const Assignment second = Take();
  EXPECT_THAT(second.group, testing::ElementsAre(jobs[4], jobs[5]));
  EXPECT_FALSE(queue_->TurnIsFree());
  EXPECT_EQ(queue_->summary().small_requests, 2);
  EXPECT_EQ(queue_->summary().small_cost, absl::Microseconds(200));
}

TEST_F(BatchQueueTest, AGroupIsBoundedByPredictedCost) {
  for (int i = 0; i < 100; ++i) PushSmall(absl::Microseconds(300));
  EXPECT_EQ(Take().group.size(), 3U);
}

TEST_F(BatchQueueTest, AGroupIsBoundedByCount) {
  options_.group_requests_max = 5;
  queue_ = std::make_unique<BatchQueue>(options_);
  for (int i = 0; i < 100; ++i) PushSmall(absl::Microseconds(1));
  EXPECT_EQ(Take().group.size(), 5U);
}

TEST_F(BatchQueueTest, AJobBeyondTheGroupsCostIsTakenAlone) {
  PushSmall(absl::Milliseconds(1));
  PushSmall(absl::Milliseconds(1));
  EXPECT_EQ(Take().group.size(), 1U);
}

TEST_F(BatchQueueTest, TilesOfALargeJobAreHandedOutOneByOne) {
  const auto job = PushLarge(3, absl::Milliseconds(30));
  for (int64_t tile = 0; tile < 3; ++tile) {
    const Assignment assignment = Take();
    EXPECT_EQ(assignment.large, job);
    EXPECT_EQ(assignment.tile, tile);
  }
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
  // Done in any order; the last one to end finishes the job.
  EXPECT_FALSE(queue_->TileDone(*job, absl::OkStatus(), clock_.Now()));
  EXPECT_FALSE(queue_->TileDone(*job, absl::OkStatus(), clock_.Now()));
  EXPECT_TRUE(queue_->TileDone(*job, absl::OkStatus(), clock_.Now()));
}

TEST_F(BatchQueueTest, SmallJobsOvertakeALargeOneAfterATile) {
  const auto large = PushLarge(100, absl::Seconds(1));
  EXPECT_EQ(Take().large, large);
  const auto small = PushSmall();
  EXPECT_THAT(Take().group, testing::ElementsAre(small));
  EXPECT_EQ(Take().large, large);
}

TEST_F(BatchQueueTest, ALargeJobIsNotStarvedBySmallOnes) {
  const auto large = PushLarge(10, absl::Milliseconds(10));
  int64_t tiles = 0;
  for (int round = 0; round < 40; ++round) {
    while (queue_->summary().small_requests < 20) PushSmall();
    if (Take().large == large) ++tiles;
  }
  EXPECT_EQ(tiles, 10);
}

TEST_F(BatchQueueTest, TheShorterOfTwoLargeJobsGoesFirst) {
  const auto giant = PushLarge(1000, absl::Seconds(10));
  EXPECT_EQ(Take().large, giant);
  clock_.Advance(absl::Seconds(1));
  const auto medium = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(Take().large, medium);
  EXPECT_EQ(Take().large, medium);
  EXPECT_EQ(Take().large, giant);
}

TEST_F(BatchQueueTest, LargeJobsOfOneSizeGoInOrderOfArrival) {
  const auto first = PushLarge(2, absl::Milliseconds(20));
  const auto second = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(Take().large, first);
  EXPECT_EQ(Take().large, first);
  EXPECT_EQ(Take().large, second);
}

TEST_F(BatchQueueTest, AGiantThatWaitedAsLongAsItCostsIsNotOvertakenAnyMore) {
  const auto giant = PushLarge(1000, absl::Seconds(10));
  clock_.Advance(absl::Seconds(10));
  PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(Take().large, giant);
}

TEST_F(BatchQueueTest, OneGiantDoesNotCloseTheQueue) {
  PushLarge(100000, absl::Hours(1));
  PushSmall();
  PushLarge(4, absl::Milliseconds(50));
  EXPECT_EQ(queue_->summary().requests(), 3);
}

TEST_F(BatchQueueTest, ExpiredJobsAreDroppedBeforeTheyCost) {
  const auto expired =
      Push({.cost = absl::Microseconds(10), .deadline = clock_.Now() + absl::Seconds(1)});
  const auto large = Push({.tile_count = 2,
                           .cost = absl::Milliseconds(9),
                           .deadline = clock_.Now() + absl::Seconds(1)});
  const auto alive = PushSmall();
  clock_.Advance(absl::Seconds(2));
  const Assignment first = Take();
  EXPECT_THAT(first.group, testing::ElementsAre(alive));
  EXPECT_THAT(first.dropped, testing::ElementsAre(expired));
  EXPECT_EQ(expired->status.code(), absl::StatusCode::kDeadlineExceeded);
  const Assignment second = Take();
  EXPECT_FALSE(second.HasWork());
  EXPECT_THAT(second.dropped, testing::ElementsAre(large));
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().busy, 1);
}

TEST_F(BatchQueueTest, ACancelledLargeJobStopsAfterTheTileThatRuns) {
  const auto job = PushLarge(5, absl::Milliseconds(50));
  EXPECT_EQ(Take().large, job);
  strings_->Cancel();
  const Assignment next = Take();
  EXPECT_FALSE(next.HasWork());
  EXPECT_TRUE(next.dropped.empty());  // its running tile finishes it
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
  EXPECT_TRUE(queue_->TileDone(*job, absl::OkStatus(), clock_.Now()));
  EXPECT_EQ(job->status.code(), absl::StatusCode::kCancelled);
}

TEST_F(BatchQueueTest, AFailedTileEndsTheJobWithItsError) {
  const auto job = PushLarge(5, absl::Milliseconds(50));
  Take();
  EXPECT_FALSE(queue_->TileDone(*job, absl::ResourceExhaustedError("no memory"), clock_.Now()));
  const Assignment next = Take();
  EXPECT_THAT(next.dropped, testing::ElementsAre(job));
  EXPECT_EQ(job->status.message(), "no memory");
}

}  // namespace
}  // namespace qkserve
