// Tenants in the queue: shares, priorities, passes of several tenants, bounds.

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/limit_error.h"
#include "core/batching/batch_queue.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

using testing::ElementsAre;

constexpr TenantId flood{1};
constexpr TenantId quiet{2};
constexpr TenantId third{3};

// The test plays the worker.
class TenantQueueTest : public testing::Test {
 protected:
  TenantQueueTest() { options_.workers = 2; }

  BatchQueue& queue() {
    if (queue_ == nullptr) queue_ = std::make_unique<BatchQueue>(options_);
    return *queue_;
  }
  absl::StatusOr<std::shared_ptr<QueuedJob>> TryPush(const JobSpec& spec) {
    auto job = std::make_shared<QueuedJob>();
    job->job = std::make_unique<PuppetJob>(strings_);
    job->spec = spec;
    job->arrival = clock_.Now();
    absl::Status status = queue().Push(job, clock_.Now());
    if (!status.ok()) return status;
    return job;
  }
  std::shared_ptr<QueuedJob> Push(const JobSpec& spec) { return TryPush(spec).value(); }
  static JobSpec Small(TenantId tenant) {
    return {.cost = absl::Microseconds(200), .tenant = tenant};
  }
  static JobSpec Large(TenantId tenant) {
    return {.tile_count = 100, .cost = absl::Seconds(1), .tenant = tenant};
  }
  // A job of 10 ms. It shares 8 ms with other jobs on the same key set.
  static JobSpec OnKeySet(TenantId tenant, uint64_t key_set,
                          Priority priority = Priority::kNormal) {
    return {.cost = absl::Milliseconds(10),
            .group = GroupId{key_set},
            .shared_cost = absl::Milliseconds(8),
            .family = FamilyId{key_set},
            .tenant = tenant,
            .priority = priority};
  }

  // Takes the next work and runs one of its tiles. Returns its jobs.
  QueuedJobs Work(int64_t pass_tiles = 1) {
    const Assignment next = queue().Take(clock_.Now());
    if (!next.HasWork()) return {};
    queue().ReleaseSlot();
    if (const auto* small = std::get_if<SmallJobs>(&next.work)) {
      queue().SmallJobsDone(*small);
      return small->jobs;
    }
    std::shared_ptr<TiledWork> work;
    if (const auto* pass = std::get_if<PassToMake>(&next.work)) {
      work = pass->work;
      work->pass = std::make_unique<PuppetPass>(strings_, pass_tiles);
      queue().PassMade(work, clock_.Now());
    } else {
      work = std::get<TileToRun>(next.work).work;
    }
    queue().TileDone(*work, absl::OkStatus(), clock_.Now());
    return work->jobs;
  }
  TenantId TenantOfNext() { return Work().front()->spec.tenant; }

  FakeClock clock_;
  BatchPolicyOptions options_;
  std::unique_ptr<BatchQueue> queue_;
  std::shared_ptr<PuppetStrings> strings_ = std::make_shared<PuppetStrings>();
};

TEST_F(TenantQueueTest, ASmallJobOfAQuietTenantWaitsForATileAtMostWhateverOthersHave) {
  for (const TenantId tenant : {flood, third}) {
    for (int i = 0; i < 50; ++i) Push(Small(tenant));
    for (uint64_t key_set = 1; key_set < 9; ++key_set) Push(OnKeySet(tenant, key_set));
    Push(Large(tenant));
  }
  for (int i = 0; i < 4; ++i) Work(/*pass_tiles=*/4);
  int at_once = 0;
  for (int round = 0; round < 50; ++round) {
    clock_.Advance(absl::Milliseconds(10));
    const auto job = Push(Small(quiet));
    const bool is_first = Work(/*pass_tiles=*/4).front() == job;
    at_once += is_first ? 1 : 0;
    // If the job was not first, another tenant had got less time than its tenant.
    const QueuedJobs next = Work(/*pass_tiles=*/4);
    EXPECT_TRUE(is_first || next.front() == job);
  }
  EXPECT_GE(at_once, 40);
}

TEST_F(TenantQueueTest, ATenantGetsNoMoreByHavingMoreKindsOfWork) {
  options_.queued_time_max = absl::Hours(1);
  std::map<TenantId, absl::Duration> times;
  for (uint64_t round = 0; round < 1000; ++round) {
    Push(Small(flood));
    for (uint64_t key_set = 1; key_set < 4; ++key_set) {
      if (round % 4 == 0) Push(OnKeySet(flood, key_set));
    }
    if (round % 100 == 0) Push(Large(flood));
    if (round % 100 == 0) Push(Large(quiet));
    const QueuedJobs jobs = Work();
    for (const auto& job : jobs) {
      times[job->spec.tenant] += job->spec.tile_count > 1
                                     ? job->spec.cost / job->spec.tile_count
                                     : CostInPass(job->spec, static_cast<int64_t>(jobs.size()));
    }
  }
  EXPECT_NEAR(absl::FDivDuration(times[flood], times[quiet]), 1.0, 0.08);
}

TEST_F(TenantQueueTest, AGroupOfSmallJobsTakesThoseOfTheNextTenantsToo) {
  options_.workers = 1;
  const auto first = Push(Small(flood));
  const auto second = Push(Small(quiet));
  const auto other = Push(Small(third));
  EXPECT_THAT(Work(), ElementsAre(first, second, other));
}

TEST_F(TenantQueueTest, TenantsShareAPassAndEachPaysForItsOwnJobs) {
  const auto first = Push(OnKeySet(flood, 1));
  const auto joins = Push(OnKeySet(quiet, 1));
  // The queue counts the shared cost once, because the pass pays it once.
  EXPECT_EQ(queue().summary().large_cost, absl::Milliseconds(10 + 2));
  const Assignment next = queue().Take(clock_.Now());
  const std::shared_ptr<TiledWork> pass = std::get<PassToMake>(next.work).work;
  EXPECT_THAT(pass->jobs, ElementsAre(first, joins));
  EXPECT_EQ(pass->cost, absl::Milliseconds(12));
  EXPECT_EQ(pass->charged_cost, absl::Milliseconds(6));
  pass->pass = std::make_unique<PuppetPass>(strings_, 1);
  queue().PassMade(pass, clock_.Now());
  queue().TileDone(*pass, absl::OkStatus(), clock_.Now());
  queue().ReleaseSlot();
  // The tenant that joined the pass waits until the third tenant has had as much time.
  for (const TenantId tenant : {third, quiet}) {
    Push({.tile_count = 4, .cost = absl::Milliseconds(8), .tenant = tenant});
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(TenantOfNext(), third);
  EXPECT_EQ(TenantOfNext(), quiet);
}

TEST_F(TenantQueueTest, APassTakesJobsOfAllTenantsInTurn) {
  options_.pass_requests_max = 2;
  for (uint64_t tenant = 1; tenant <= 3; ++tenant) Push(OnKeySet(TenantId{tenant}, 1));
  const auto tenants = [](const QueuedJobs& jobs) {
    std::vector<TenantId> all;
    for (const auto& job : jobs) all.push_back(job->spec.tenant);
    return all;
  };
  EXPECT_THAT(tenants(Work()), ElementsAre(TenantId{1}, TenantId{2}));
  Push(OnKeySet(TenantId{1}, 1));
  // After the last tenant, it is the first tenant's turn again.
  EXPECT_THAT(tenants(Work()), ElementsAre(TenantId{3}, TenantId{1}));
  EXPECT_EQ(queue().summary().requests(), 0);
  EXPECT_EQ(queue().summary().large_cost, absl::ZeroDuration());
}

TEST_F(TenantQueueTest, LowJobsWaitForTheNormalOnesOfTheirTenant) {
  const auto low = Push(OnKeySet(flood, 1, Priority::kLow));
  const auto normal = Push(OnKeySet(flood, 1));
  EXPECT_THAT(Work(), ElementsAre(normal));
  EXPECT_THAT(Work(), ElementsAre(low));
}

TEST_F(TenantQueueTest, ANormalJobOfAnotherTenantJoinsTheLowOneWhoseTurnItIs) {
  const auto low = Push(OnKeySet(flood, 1, Priority::kLow));
  const auto normal = Push(OnKeySet(quiet, 1));
  EXPECT_THAT(Work(), ElementsAre(low, normal));
}

TEST_F(TenantQueueTest, ATenantThatFillsTheQueueClosesItToItselfOnly) {
  options_.queued_requests_max = 20;
  options_.queued_time_max = absl::Milliseconds(500);
  while (TryPush(Large(flood)).ok()) continue;
  EXPECT_EQ(LimitOf(TryPush(Large(flood)).status()), "queue_time_max");
  while (TryPush(Small(third)).ok()) continue;
  EXPECT_EQ(LimitOf(TryPush(Small(third)).status()), "queue_requests_max");
  EXPECT_TRUE(TryPush(Small(quiet)).ok());
}

TEST_F(TenantQueueTest, AFloodDoesNotMakeTheDeadlinesOfOthersLookTooClose) {
  for (int i = 0; i < 100; ++i) Push(OnKeySet(flood, 1));
  JobSpec urgent = OnKeySet(quiet, 2);
  // The job takes one worker 10 ms. Before the job ends, the flood gets only as much time.
  urgent.deadline = clock_.Now() + absl::Milliseconds(15);
  EXPECT_TRUE(TryPush(urgent).ok());
  // The low job waits for its tenant's normal job. Meanwhile the flood gets as much time as both
  // jobs.
  JobSpec low = urgent;
  low.priority = Priority::kLow;
  low.group = GroupId{3};
  low.family = FamilyId{3};
  EXPECT_EQ(LimitOf(TryPush(low).status()), "deadline");
  low.deadline = clock_.Now() + absl::Milliseconds(40);
  EXPECT_TRUE(TryPush(low).ok());
}

}  // namespace
}  // namespace qkserve
