#include "core/batching/batch_queue.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/limit_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

// The test plays the worker: it takes assignments and reports tiles as done.
class BatchQueueTest : public testing::Test {
 protected:
  BatchQueueTest() {
    options_.workers = 2;
    options_.group_cost_max = absl::Milliseconds(1);
    queue_ = std::make_unique<BatchQueue>(options_);
  }

  std::shared_ptr<QueuedJob> MakeJob(const JobSpec& spec) {
    auto job = std::make_shared<QueuedJob>();
    job->job = std::make_unique<PuppetJob>(strings_);
    job->spec = spec;
    job->arrival = clock_.Now();
    return job;
  }
  absl::Status TryPush(const JobSpec& spec) { return queue_->Push(MakeJob(spec), clock_.Now()); }
  std::shared_ptr<QueuedJob> Push(const JobSpec& spec) {
    auto job = MakeJob(spec);
    EXPECT_TRUE(queue_->Push(job, clock_.Now()).ok());
    return job;
  }
  std::shared_ptr<QueuedJob> PushSmall(absl::Duration cost = absl::Microseconds(100)) {
    return Push({.cost = cost});
  }
  std::shared_ptr<QueuedJob> PushLarge(int64_t tiles, absl::Duration cost) {
    return Push({.tile_count = tiles, .cost = cost});
  }
  // Pushes a job on a key set. `key_set` is its group and its family.
  std::shared_ptr<QueuedJob> PushGrouped(uint64_t key_set, absl::Duration cost,
                                         absl::Duration shared_cost) {
    return Push({.cost = cost,
                 .group = GroupId{key_set},
                 .shared_cost = shared_cost,
                 .family = FamilyId{key_set}});
  }
  Assignment Take() { return queue_->Take(clock_.Now()); }
  // Does what a worker does when Take asks it to make a pass.
  void MakePass(const Assignment& assignment, int64_t tiles) {
    const std::shared_ptr<TiledWork>& work = std::get<PassToMake>(assignment.work).work;
    work->pass = std::make_unique<PuppetPass>(strings_, tiles);
    queue_->PassMade(work, clock_.Now());
  }
  // The functions below return the work in an assignment. If the work is of another kind, they
  // return an empty vector, null or -1.
  static std::vector<std::shared_ptr<QueuedJob>> SmallOf(const Assignment& assignment) {
    const auto* small = std::get_if<SmallJobs>(&assignment.work);
    return small != nullptr ? small->jobs : std::vector<std::shared_ptr<QueuedJob>>();
  }
  static std::shared_ptr<TiledWork> WorkOf(const Assignment& assignment) {
    if (const auto* pass = std::get_if<PassToMake>(&assignment.work)) return pass->work;
    const auto* tile = std::get_if<TileToRun>(&assignment.work);
    return tile != nullptr ? tile->work : nullptr;
  }
  static int64_t TileOf(const Assignment& assignment) {
    const auto* tile = std::get_if<TileToRun>(&assignment.work);
    return tile != nullptr ? tile->tile : -1;
  }
  static std::shared_ptr<QueuedJob> JobOf(const Assignment& assignment) {
    const std::shared_ptr<TiledWork> work = WorkOf(assignment);
    return work != nullptr ? work->jobs.front() : nullptr;
  }

  FakeClock clock_;
  BatchPolicyOptions options_;
  std::unique_ptr<BatchQueue> queue_;
  std::shared_ptr<PuppetStrings> strings_ = std::make_shared<PuppetStrings>();
};

TEST_F(BatchQueueTest, AnEmptyQueueGivesNothing) {
  EXPECT_FALSE(Take().HasWork());
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_TRUE(queue_->HasFreeSlot());
}

TEST_F(BatchQueueTest, SmallJobsAreTakenInGroupsInOrderOfArrival) {
  std::vector<std::shared_ptr<QueuedJob>> jobs;
  for (int i = 0; i < 8; ++i) jobs.push_back(PushSmall());
  // Each of the two workers gets half of the 8 x 100 us.
  const Assignment first = Take();
  EXPECT_THAT(SmallOf(first), testing::ElementsAre(jobs[0], jobs[1], jobs[2], jobs[3]));
  const Assignment second = Take();
  EXPECT_THAT(SmallOf(second), testing::ElementsAre(jobs[4], jobs[5]));
  EXPECT_FALSE(queue_->HasFreeSlot());
  EXPECT_EQ(queue_->summary().small_requests, 2);
  EXPECT_EQ(queue_->summary().small_cost, absl::Microseconds(200));
}

TEST_F(BatchQueueTest, AGroupIsBoundedByPredictedCost) {
  for (int i = 0; i < 100; ++i) PushSmall(absl::Microseconds(300));
  EXPECT_EQ(SmallOf(Take()).size(), 3U);
}

TEST_F(BatchQueueTest, AGroupIsBoundedByCount) {
  options_.group_requests_max = 5;
  queue_ = std::make_unique<BatchQueue>(options_);
  for (int i = 0; i < 100; ++i) PushSmall(absl::Microseconds(1));
  EXPECT_EQ(SmallOf(Take()).size(), 5U);
}

TEST_F(BatchQueueTest, AJobBeyondTheGroupsCostIsTakenAlone) {
  PushSmall(absl::Milliseconds(1));
  PushSmall(absl::Milliseconds(1));
  EXPECT_EQ(SmallOf(Take()).size(), 1U);
}

TEST_F(BatchQueueTest, TilesOfALargeJobAreHandedOutOneByOne) {
  const auto job = PushLarge(3, absl::Milliseconds(30));
  std::shared_ptr<TiledWork> work;
  for (int64_t tile = 0; tile < 3; ++tile) {
    const Assignment assignment = Take();
    EXPECT_EQ(JobOf(assignment), job);
    work = WorkOf(assignment);
    EXPECT_EQ(TileOf(assignment), tile);
  }
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
  // Tiles may end in any order. The last one to end finishes the job.
  EXPECT_FALSE(queue_->TileDone(*work, absl::OkStatus(), clock_.Now()));
  EXPECT_FALSE(queue_->TileDone(*work, absl::OkStatus(), clock_.Now()));
  EXPECT_TRUE(queue_->TileDone(*work, absl::OkStatus(), clock_.Now()));
}

TEST_F(BatchQueueTest, SmallJobsOvertakeALargeOneAfterATile) {
  const auto large = PushLarge(100, absl::Seconds(1));
  EXPECT_EQ(JobOf(Take()), large);
  const auto small = PushSmall();
  EXPECT_THAT(SmallOf(Take()), testing::ElementsAre(small));
  EXPECT_EQ(JobOf(Take()), large);
}

TEST_F(BatchQueueTest, ALargeJobIsNotStarvedBySmallOnes) {
  const auto large = PushLarge(10, absl::Milliseconds(10));
  int64_t tiles = 0;
  for (int round = 0; round < 40; ++round) {
    while (queue_->summary().small_requests < 20) PushSmall();
    if (JobOf(Take()) == large) ++tiles;
  }
  EXPECT_EQ(tiles, 10);
}

TEST_F(BatchQueueTest, TheShorterOfTwoLargeJobsGoesFirst) {
  const auto giant = PushLarge(1000, absl::Seconds(10));
  EXPECT_EQ(JobOf(Take()), giant);
  clock_.Advance(absl::Seconds(1));
  const auto medium = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(JobOf(Take()), medium);
  EXPECT_EQ(JobOf(Take()), medium);
  EXPECT_EQ(JobOf(Take()), giant);
}

TEST_F(BatchQueueTest, LargeJobsOfOneSizeGoInOrderOfArrival) {
  const auto first = PushLarge(2, absl::Milliseconds(20));
  const auto second = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(JobOf(Take()), first);
  EXPECT_EQ(JobOf(Take()), first);
  EXPECT_EQ(JobOf(Take()), second);
}

TEST_F(BatchQueueTest, AGiantThatWaitedAsLongAsItCostsIsNotOvertakenAnyMore) {
  const auto giant = PushLarge(1000, absl::Seconds(3));
  clock_.Advance(absl::Seconds(3));
  PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(JobOf(Take()), giant);
}

// Requests with deadlines are answered in time, however many patient callers wait.
TEST_F(BatchQueueTest, JobsWithDeadlinesGoBeforeThoseThatCanWaitLonger) {
  std::vector<std::shared_ptr<QueuedJob>> patient;
  for (int i = 0; i < 100; ++i) patient.push_back(PushLarge(1, absl::Milliseconds(10)));
  const JobSpec urgent = {.tile_count = 1,
                          .cost = absl::Milliseconds(10),
                          .deadline = clock_.Now() + absl::Milliseconds(60)};
  const auto job = Push(urgent);
  EXPECT_EQ(JobOf(Take()), job);
  EXPECT_EQ(JobOf(Take()), patient[0]);
  // The same order holds for small jobs.
  const auto patient_small = PushSmall();
  const auto urgent_small =
      Push({.cost = absl::Microseconds(100), .deadline = clock_.Now() + absl::Milliseconds(30)});
  EXPECT_EQ(SmallOf(Take()).front(), urgent_small);
  EXPECT_EQ(SmallOf(Take()).front(), patient_small);
}

TEST_F(BatchQueueTest, AJobThatWaitedLongerThanTheLimitIsDropped) {
  const auto first = PushLarge(2, absl::Milliseconds(20));
  const auto second = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(JobOf(Take()), first);  // it has begun and continues
  clock_.Advance(options_.queued_time_max + absl::Milliseconds(1));
  const auto fresh = PushLarge(2, absl::Milliseconds(20));
  EXPECT_EQ(JobOf(Take()), first);
  const Assignment next = Take();
  EXPECT_EQ(JobOf(next), fresh);
  EXPECT_THAT(next.dropped, testing::ElementsAre(second));
  EXPECT_EQ(second->status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(LimitOf(second->status), "queue_time_max");
  EXPECT_TRUE(RetryAfterOf(second->status).has_value());
}

TEST_F(BatchQueueTest, AJobIsRefusedThatIsExpectedToWaitLongerThanTheLimit) {
  // The limit is 5 s. A wait of 3.3 s reaches it, because the reserve is a half.
  for (int i = 0; i < 6; ++i) PushLarge(10, absl::Seconds(1));
  PushLarge(10, absl::Seconds(1));
  const absl::Status refused = TryPush({.tile_count = 10, .cost = absl::Seconds(1)});
  EXPECT_EQ(LimitOf(refused), "queue_time_max");
  // Shorter jobs go before the others and are not refused.
  PushLarge(10, absl::Milliseconds(20));
}

TEST_F(BatchQueueTest, AStandingQueueTakesLess) {
  const JobSpec spec = {.tile_count = 2, .cost = absl::Milliseconds(200)};
  // For more than a second, no job gets its turn within 10 ms of its arrival.
  for (int i = 0; i < 30; ++i) Push(spec);
  EXPECT_TRUE(TryPush(spec).ok());  // the wait is 3 s
  clock_.Advance(absl::Seconds(1.1));
  EXPECT_EQ(LimitOf(TryPush(spec)), "queue_time_max");
  // A job that gets its turn at once shows that the lane keeps up again.
  JobSpec urgent = spec;
  urgent.cost = absl::Milliseconds(2);
  urgent.deadline = clock_.Now() + absl::Seconds(1);
  const auto prompt = Push(urgent);
  EXPECT_EQ(JobOf(Take()), prompt);
  EXPECT_TRUE(TryPush(spec).ok());
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
  EXPECT_THAT(SmallOf(first), testing::ElementsAre(alive));
  EXPECT_THAT(first.dropped, testing::ElementsAre(expired));
  EXPECT_EQ(expired->status.code(), absl::StatusCode::kDeadlineExceeded);
  const Assignment second = Take();
  EXPECT_FALSE(second.HasWork());
  EXPECT_THAT(second.dropped, testing::ElementsAre(large));
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().busy, 1);
}

// If jobs were taken in order of arrival, each would begin at the last moment, and in the end none
// would be answered in time.
TEST_F(BatchQueueTest, UnderOverloadNobodyIsBegunWhoWillBeLate) {
  constexpr uint64_t key_set = 1;
  std::vector<std::shared_ptr<QueuedJob>> jobs;
  for (int i = 0; i < 5; ++i) {
    // Both workers together need 10 ms for each job.
    jobs.push_back(Push({.cost = absl::Milliseconds(20),
                         .group = GroupId{key_set},
                         .family = FamilyId{key_set},
                         .deadline = clock_.Now() + absl::Milliseconds(100)}));
    clock_.Advance(absl::Milliseconds(5));
  }
  // The workers were busy for longer than predicted. The first job has no time left, and the next
  // two jobs have too little.
  clock_.Advance(absl::Milliseconds(75));
  const Assignment next = Take();
  ASSERT_EQ(WorkOf(next)->jobs.size(), 1U);
  EXPECT_EQ(WorkOf(next)->jobs.front(), jobs[3]);
  EXPECT_THAT(next.dropped, testing::ElementsAre(jobs[0], jobs[1], jobs[2]));
  EXPECT_EQ(jobs[0]->status.code(), absl::StatusCode::kDeadlineExceeded);
  for (int i = 1; i < 3; ++i) {
    EXPECT_EQ(jobs[i]->status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(LimitOf(jobs[i]->status), "deadline");
  }
}

TEST_F(BatchQueueTest, WhatCannotEndInTimeIsRefusedOnArrival) {
  constexpr uint64_t key_set = 1;
  const JobSpec spec = {.cost = absl::Milliseconds(20),
                        .group = GroupId{key_set},
                        .family = FamilyId{key_set},
                        .deadline = clock_.Now() + absl::Milliseconds(100)};
  // Each job takes 10 ms of both workers. The last job must have in reserve half of its wait and
  // of its own time.
  for (int i = 0; i < 6; ++i) Push(spec);
  const absl::Status refused = TryPush(spec);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(LimitOf(refused), "deadline");
  EXPECT_GE(RetryAfterOf(refused), absl::Milliseconds(60));
  EXPECT_LT(RetryAfterOf(refused), absl::Milliseconds(120));
  EXPECT_EQ(queue_->summary().large_requests, 6);
  // A job may wait if it has no deadline, or if it goes before the others.
  JobSpec patient = spec;
  patient.deadline = absl::InfiniteFuture();
  EXPECT_TRUE(TryPush(patient).ok());
  JobSpec quick = spec;
  quick.cost = absl::Milliseconds(1);
  quick.deadline = clock_.Now() + absl::Milliseconds(50);
  EXPECT_TRUE(TryPush(quick).ok());
}

TEST_F(BatchQueueTest, WhatTilesTookCorrectsWhatIsExpected) {
  const auto large = [&] {
    return JobSpec{.tile_count = 2,
                   .cost = absl::Milliseconds(10),
                   .deadline = clock_.Now() + absl::Milliseconds(30)};
  };
  Push(large());
  EXPECT_TRUE(TryPush(large()).ok());
  while (queue_->HasWaiting()) Take();
  // If no other job waits, a job may always try, however long it is predicted to take.
  queue_->Learn(WorkKind::kTiled, absl::Seconds(1), absl::Seconds(9), clock_.Now());
  EXPECT_TRUE(TryPush(large()).ok());
  EXPECT_EQ(LimitOf(TryPush(large())), "deadline");
  // Other kinds of work are as fast as before.
  EXPECT_TRUE(
      TryPush({.cost = absl::Microseconds(100), .deadline = clock_.Now() + absl::Milliseconds(90)})
          .ok());
}

TEST_F(BatchQueueTest, OtherKeySetsAreExpectedToTakeNoMoreThanTheirTurns) {
  constexpr uint64_t busy = 1;
  constexpr uint64_t quiet = 2;
  for (int i = 0; i < 50; ++i) PushGrouped(busy, absl::Milliseconds(20), absl::ZeroDuration());
  const JobSpec spec = {.cost = absl::Milliseconds(20),
                        .group = GroupId{quiet},
                        .family = FamilyId{quiet},
                        .deadline = clock_.Now() + absl::Milliseconds(50)};
  // The busy set gets one turn for each turn of the quiet set.
  EXPECT_TRUE(TryPush(spec).ok());
  EXPECT_TRUE(TryPush(spec).code() == absl::StatusCode::kResourceExhausted);
}

TEST_F(BatchQueueTest, BegunWorkThatWillEndTooLateMakesRoomForOthers) {
  const auto late = Push({.tile_count = 4,
                          .cost = absl::Milliseconds(40),
                          .deadline = clock_.Now() + absl::Milliseconds(50)});
  const Assignment first = Take();
  EXPECT_EQ(JobOf(first), late);
  clock_.Advance(absl::Milliseconds(40));
  // 30 ms of work are left. Two workers cannot do them in the 10 ms before the deadline. The job
  // may continue, because no other job waits.
  const Assignment second = Take();
  EXPECT_EQ(JobOf(second), late);
  const auto other = PushLarge(4, absl::Milliseconds(40));
  clock_.Advance(absl::Milliseconds(9));
  const Assignment third = Take();
  EXPECT_EQ(JobOf(third), other);
  EXPECT_EQ(LimitOf(late->status), "deadline");
  EXPECT_FALSE(queue_->TileDone(*WorkOf(first), absl::OkStatus(), clock_.Now()));
  EXPECT_TRUE(queue_->TileDone(*WorkOf(second), absl::OkStatus(), clock_.Now()));
}

TEST_F(BatchQueueTest, AGiantThatCannotEndInTimeIsRefusedOnArrival) {
  PushLarge(4, absl::Milliseconds(100));
  const JobSpec giant = {
      .tile_count = 1000, .cost = absl::Seconds(9), .deadline = clock_.Now() + absl::Seconds(4)};
  EXPECT_EQ(LimitOf(TryPush(giant)), "deadline");
}

// The first job may still be answered in time, because the pass continues for its other job.
TEST_F(BatchQueueTest, AJobOfAPassThatGoesOnIsNotGivenUp) {
  constexpr uint64_t key_set = 1;
  const auto urgent = Push({.cost = absl::Milliseconds(4),
                            .group = GroupId{key_set},
                            .shared_cost = absl::Milliseconds(4),
                            .family = FamilyId{key_set},
                            .deadline = clock_.Now() + absl::Milliseconds(20)});
  const auto patient = PushGrouped(key_set, absl::Milliseconds(4), absl::Milliseconds(4));
  const Assignment pass = Take();
  ASSERT_THAT(WorkOf(pass)->jobs, testing::ElementsAre(urgent, patient));
  MakePass(pass, 4);
  PushLarge(4, absl::Milliseconds(40));
  clock_.Advance(absl::Milliseconds(19));
  Assignment next = Take();
  for (int i = 0; i < 10 && WorkOf(next) != WorkOf(pass); ++i) next = Take();
  ASSERT_EQ(WorkOf(next), WorkOf(pass));
  EXPECT_TRUE(urgent->status.ok());
}

// A pass with both jobs would end too late for the first job.
TEST_F(BatchQueueTest, APassTakesNobodyAlongWhoMakesItTooLate) {
  constexpr uint64_t key_set = 1;
  const auto urgent = Push({.cost = absl::Milliseconds(4),
                            .group = GroupId{key_set},
                            .family = FamilyId{key_set},
                            .deadline = clock_.Now() + absl::Milliseconds(5)});
  const auto patient = PushGrouped(key_set, absl::Milliseconds(10), absl::Milliseconds(1));
  EXPECT_THAT(WorkOf(Take())->jobs, testing::ElementsAre(urgent));
  EXPECT_THAT(WorkOf(Take())->jobs, testing::ElementsAre(patient));
}

TEST_F(BatchQueueTest, ACancelledLargeJobStopsAfterTheTileThatRuns) {
  const auto job = PushLarge(5, absl::Milliseconds(50));
  const std::shared_ptr<TiledWork> work = WorkOf(Take());
  strings_->Cancel();
  const Assignment next = Take();
  EXPECT_FALSE(next.HasWork());
  EXPECT_TRUE(next.dropped.empty());  // the tile that runs will finish it
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
  EXPECT_TRUE(queue_->TileDone(*work, absl::OkStatus(), clock_.Now()));
  EXPECT_EQ(job->status.code(), absl::StatusCode::kCancelled);
}

TEST_F(BatchQueueTest, AFailedTileEndsTheJobWithItsError) {
  const auto job = PushLarge(5, absl::Milliseconds(50));
  const std::shared_ptr<TiledWork> work = WorkOf(Take());
  EXPECT_FALSE(queue_->TileDone(*work, absl::ResourceExhaustedError("no memory"), clock_.Now()));
  const Assignment next = Take();
  EXPECT_THAT(next.dropped, testing::ElementsAre(job));
  EXPECT_EQ(job->status.message(), "no memory");
}

TEST_F(BatchQueueTest, AJobThatIsDroppedBetweenTilesTellsWhatItTook) {
  const auto job = PushLarge(5, absl::Milliseconds(50));
  const std::shared_ptr<TiledWork> work = WorkOf(Take());
  clock_.Advance(absl::Milliseconds(7));
  work->worker_time += absl::Milliseconds(7);
  EXPECT_FALSE(queue_->TileDone(*work, absl::OkStatus(), clock_.Now()));
  strings_->Cancel();
  EXPECT_THAT(Take().dropped, testing::ElementsAre(job));
  EXPECT_EQ(job->receipt.worker_time, absl::Milliseconds(7));
  EXPECT_EQ(job->receipt.computed, absl::Milliseconds(7));
}

TEST_F(BatchQueueTest, JobsOfAGroupShareAPass) {
  // Both key sets are equally due. The lower number then goes first.
  constexpr uint64_t key_sets[] = {1, 2};
  const int& key_set = key_sets[0];
  const int& other = key_sets[1];
  std::vector<std::shared_ptr<QueuedJob>> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs.push_back(PushGrouped(key_set, absl::Milliseconds(2), absl::Microseconds(1900)));
  }
  const auto stranger = PushGrouped(other, absl::Milliseconds(2), absl::Milliseconds(1));
  // For the jobs on one set, the shared cost counts once.
  EXPECT_EQ(queue_->summary().large_cost, absl::Microseconds(2000 + 4 * 100 + 2000));
  const Assignment first = Take();
  ASSERT_TRUE(std::holds_alternative<PassToMake>(first.work));
  EXPECT_EQ(WorkOf(first)->jobs, jobs);
  const Assignment second = Take();
  EXPECT_EQ(JobOf(second), stranger);
  EXPECT_FALSE(queue_->HasFreeSlot());
  MakePass(first, 1);
  MakePass(second, 1);
  EXPECT_TRUE(queue_->TileDone(*WorkOf(first), absl::OkStatus(), clock_.Now()));
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().requests(), 0);
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
}

TEST_F(BatchQueueTest, TheTilesOfAPassAreHandedOutOneByOne) {
  constexpr uint64_t key_set = 1;
  PushGrouped(key_set, absl::Milliseconds(10), absl::Milliseconds(5));
  const Assignment first = Take();
  EXPECT_FALSE(queue_->HasWaiting());  // nothing waits until the pass is made
  MakePass(first, 3);
  EXPECT_EQ(queue_->summary().requests(), 1);
  for (int64_t tile = 1; tile < 3; ++tile) {
    const Assignment next = Take();
    EXPECT_EQ(WorkOf(next), WorkOf(first));
    EXPECT_EQ(TileOf(next), tile);
  }
  EXPECT_FALSE(queue_->HasWaiting());
  EXPECT_EQ(queue_->summary().requests(), 0);
  EXPECT_FALSE(queue_->TileDone(*WorkOf(first), absl::OkStatus(), clock_.Now()));
  EXPECT_FALSE(queue_->TileDone(*WorkOf(first), absl::OkStatus(), clock_.Now()));
  EXPECT_TRUE(queue_->TileDone(*WorkOf(first), absl::OkStatus(), clock_.Now()));
}

TEST_F(BatchQueueTest, APassIsBoundedByCostSoThatSmallOnesDoNotWaitForAHeavyOne) {
  constexpr uint64_t key_set = 1;
  const auto heavy = PushGrouped(key_set, absl::Milliseconds(19), absl::Milliseconds(2));
  std::vector<std::shared_ptr<QueuedJob>> light;
  for (int i = 0; i < 20; ++i) {
    light.push_back(PushGrouped(key_set, absl::Milliseconds(2), absl::Microseconds(1900)));
  }
  // The light jobs go first. With the heavy job, their pass would cost more than a pass may.
  const Assignment first = Take();
  EXPECT_EQ(WorkOf(first)->jobs, light);
  EXPECT_EQ(JobOf(Take()), heavy);
}

TEST_F(BatchQueueTest, VersionsOfAKeySetDoNotShareAPassButTheirLane) {
  constexpr uint64_t key_set = 1;
  constexpr uint64_t old_version = 2;
  constexpr uint64_t new_version = 3;
  const JobSpec spec = {.cost = absl::Milliseconds(2), .family = FamilyId{key_set}};
  JobSpec old_spec = spec;
  old_spec.group = GroupId{old_version};
  JobSpec new_spec = spec;
  new_spec.group = GroupId{new_version};
  const auto first = Push(old_spec);
  const auto second = Push(new_spec);
  const auto third = Push(old_spec);
  EXPECT_THAT(WorkOf(Take())->jobs, testing::ElementsAre(first, third));
  EXPECT_THAT(WorkOf(Take())->jobs, testing::ElementsAre(second));
}

TEST_F(BatchQueueTest, KeySetsGetEqualPartsOfTheTime) {
  constexpr uint64_t busy = 1;
  constexpr uint64_t quiet = 2;
  absl::Duration quiet_time;
  absl::Duration busy_time;
  for (int round = 0; round < 1000; ++round) {
    // The queue always has forty jobs of the busy set and one of the quiet set.
    while (queue_->summary().requests() < 40) {
      PushGrouped(busy, absl::Milliseconds(3), absl::Milliseconds(1));
    }
    if (round % 2 == 0) PushGrouped(quiet, absl::Milliseconds(3), absl::Milliseconds(1));
    const Assignment next = Take();
    (WorkOf(next)->lane.family == FamilyId{quiet} ? quiet_time : busy_time) += WorkOf(next)->cost;
    MakePass(next, 1);
    queue_->TileDone(*WorkOf(next), absl::OkStatus(), clock_.Now());
    queue_->ReleaseSlot();
  }
  // The quiet set asks for less than its share, so it gets all that it asks for.
  EXPECT_GT(quiet_time, absl::Milliseconds(3 * 400));
  EXPECT_GT(busy_time, quiet_time);
}

TEST_F(BatchQueueTest, AGiantOnAKeySetIsOvertakenAfterATileHoweverLongItWaited) {
  constexpr uint64_t key_set = 1;
  const auto giant = PushGrouped(key_set, absl::Seconds(1), absl::Milliseconds(1));
  const Assignment pass = Take();
  EXPECT_EQ(JobOf(pass), giant);
  MakePass(pass, 1000);
  // The giant takes much longer than predicted, while another job of its size waits.
  const auto next_giant = PushGrouped(key_set, absl::Seconds(1), absl::Milliseconds(1));
  for (int round = 0; round < 10; ++round) {
    clock_.Advance(absl::Seconds(10));
    const auto request = PushGrouped(key_set, absl::Microseconds(500), absl::Microseconds(100));
    const Assignment first = Take();
    const Assignment second = Take();
    EXPECT_TRUE(JobOf(first) == request || JobOf(second) == request);
    EXPECT_TRUE(JobOf(first) == giant || JobOf(second) == giant);
    for (const Assignment& assignment : {first, second}) {
      if (JobOf(assignment) == request) MakePass(assignment, 1);
      queue_->ReleaseSlot();
    }
  }
}

TEST_F(BatchQueueTest, AGroupThatGetsNoPassIsGone) {
  constexpr uint64_t key_set = 1;
  PushGrouped(key_set, absl::Milliseconds(2), absl::Milliseconds(1));
  const Assignment first = Take();
  queue_->PassFailed(*WorkOf(first));
  EXPECT_EQ(queue_->summary().requests(), 0);
  EXPECT_EQ(queue_->summary().large_cost, absl::ZeroDuration());
}

TEST_F(BatchQueueTest, ExpiredJobsOfAGroupAreDroppedAndTheOthersGoOn) {
  constexpr uint64_t key_set = 1;
  const auto expired = Push({.cost = absl::Milliseconds(2),
                             .group = GroupId{key_set},
                             .family = FamilyId{key_set},
                             .deadline = clock_.Now() + absl::Seconds(1)});
  const auto alive = PushGrouped(key_set, absl::Milliseconds(2), absl::ZeroDuration());
  clock_.Advance(absl::Seconds(2));
  const Assignment next = Take();
  EXPECT_THAT(WorkOf(next)->jobs, testing::ElementsAre(alive));
  EXPECT_THAT(next.dropped, testing::ElementsAre(expired));
}

}  // namespace
}  // namespace qkserve
