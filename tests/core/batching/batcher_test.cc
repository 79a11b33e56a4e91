#include "core/batching/batcher.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

constexpr absl::Duration kSmallCost = absl::Microseconds(200);  // small, but not run on arrival

class BatcherTest : public testing::Test {
 protected:
  void Start(BatchPolicyOptions options) {
    batcher_ = Batcher::Create(options, &clock_).value();
    workers_ = options.workers;
  }
  void Start(int64_t workers) {
    BatchPolicyOptions options;
    options.workers = workers;
    Start(options);
  }

  std::shared_ptr<PuppetStrings> Submit(const JobSpec& spec,
                                        std::shared_ptr<PuppetStrings> strings = nullptr) {
    if (strings == nullptr) strings = std::make_shared<PuppetStrings>();
    batcher_->Submit(std::make_unique<PuppetJob>(strings), spec);
    return strings;
  }

  // Keeps every worker busy until the gate opens.
  std::vector<std::shared_ptr<PuppetStrings>> OccupyWorkers(Gate& gate) {
    std::vector<std::shared_ptr<PuppetStrings>> jobs;
    for (int64_t i = 0; i < workers_; ++i) {
      auto strings = std::make_shared<PuppetStrings>();
      strings->on_tile = [&gate](int64_t) {
        gate.Pass();
        return absl::OkStatus();
      };
      jobs.push_back(Submit({.cost = kSmallCost}, strings));
      gate.AwaitArrivals(i + 1);
    }
    return jobs;
  }

  FakeClock clock_;
  int64_t workers_ = 0;
  std::unique_ptr<Batcher> batcher_;
};

TEST_F(BatcherTest, ARequestThatFindsAFreeWorkerStartsAtOnceAndAlone) {
  Start(2);
  const auto job = Submit({.cost = kSmallCost, .rows = 3});
  EXPECT_TRUE(job->AwaitStatus().ok());
  EXPECT_EQ(job->receipt().batch_requests, 1);
  EXPECT_EQ(job->receipt().batch_rows, 3);
  EXPECT_EQ(job->receipt().queued, absl::ZeroDuration());
}

TEST_F(BatcherTest, MoreThreadsThanWorkersRunNoMoreTilesAtATime) {
  BatchPolicyOptions options;
  options.workers = 1;
  options.threads = 5;
  Start(options);
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::vector<std::shared_ptr<PuppetStrings>> jobs;
  for (int i = 0; i < 20; ++i) {
    auto strings = std::make_shared<PuppetStrings>();
    strings->on_tile = [&](int64_t) {
      most = std::max<int>(most, ++running);
      std::this_thread::yield();
      --running;
      return absl::OkStatus();
    };
    jobs.push_back(Submit({.tile_count = 4, .cost = absl::Milliseconds(20)}, strings));
  }
  for (const auto& job : jobs) EXPECT_TRUE(job->AwaitStatus().ok());
  EXPECT_EQ(most, 1);
}

TEST_F(BatcherTest, BatchesOnlyWhatQueuedWhileWorkersWereBusy) {
  Start(1);
  Gate gate;
  const auto first = OccupyWorkers(gate);
  std::vector<std::shared_ptr<PuppetStrings>> queued;
  for (int i = 0; i < 4; ++i) queued.push_back(Submit({.cost = kSmallCost, .rows = 2}));
  clock_.Advance(absl::Milliseconds(7));
  gate.Open();
  EXPECT_TRUE(first[0]->AwaitStatus().ok());
  EXPECT_EQ(first[0]->receipt().batch_requests, 1);
  EXPECT_EQ(first[0]->receipt().computed, absl::Milliseconds(7));
  for (const auto& job : queued) {
    EXPECT_TRUE(job->AwaitStatus().ok());
    EXPECT_EQ(job->receipt().batch_requests, 4);
    EXPECT_EQ(job->receipt().batch_rows, 8);
    EXPECT_EQ(job->receipt().queued, absl::Milliseconds(7));
  }
  batcher_->Drain();
  EXPECT_EQ(batcher_->GetStats().requests_answered, 5);
  EXPECT_EQ(batcher_->GetStats().batches, 2);
}

TEST_F(BatcherTest, TinyWorkRunsOnTheThreadItArrivedOn) {
  Start(1);
  std::thread::id ran_on;
  auto strings = std::make_shared<PuppetStrings>();
  strings->on_tile = [&ran_on](int64_t) {
    ran_on = std::this_thread::get_id();
    return absl::OkStatus();
  };
  Submit({.cost = absl::Microseconds(5)}, strings);
  EXPECT_EQ(strings->times_finished(), 1);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(BatcherTest, TinyWorkWaitsWhereNoSlotIsFree) {
  Start(1);
  Gate gate;
  OccupyWorkers(gate);
  const auto tiny = Submit({.cost = absl::Microseconds(5)});
  EXPECT_EQ(tiny->times_finished(), 0);
  gate.Open();
  EXPECT_TRUE(tiny->AwaitStatus().ok());
}

TEST_F(BatcherTest, WorkersShareTheTilesOfALargeJob) {
  Start(2);
  Gate both;
  auto strings = std::make_shared<PuppetStrings>();
  // The first two tiles wait for each other, so two threads must run them.
  strings->on_tile = [&both](int64_t tile) {
    if (tile < 2) both.Pass();
    return absl::OkStatus();
  };
  Submit({.tile_count = 5, .cost = absl::Milliseconds(50), .rows = 9}, strings);
  both.AwaitArrivals(2);
  both.Open();
  EXPECT_TRUE(strings->AwaitStatus().ok());
  EXPECT_THAT(strings->tiles_run(), testing::UnorderedElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(strings->receipt().batch_requests, 1);
  EXPECT_EQ(strings->receipt().batch_rows, 9);
}

TEST_F(BatcherTest, ASmallJobOvertakesALargeOneThatIsUnderWay) {
  Start(1);
  Gate first_tile;
  std::atomic<int64_t> tiles{0};
  auto large = std::make_shared<PuppetStrings>();
  large->on_tile = [&](int64_t tile) {
    if (tile == 0) first_tile.Pass();
    ++tiles;
    return absl::OkStatus();
  };
  Submit({.tile_count = 50, .cost = absl::Milliseconds(500)}, large);
  first_tile.AwaitArrivals(1);
  auto small = std::make_shared<PuppetStrings>();
  int64_t tiles_before_small = -1;
  small->on_tile = [&](int64_t) {
    tiles_before_small = tiles;
    return absl::OkStatus();
  };
  Submit({.cost = kSmallCost}, small);
  first_tile.Open();
  EXPECT_TRUE(small->AwaitStatus().ok());
  EXPECT_EQ(tiles_before_small, 1);
  EXPECT_TRUE(large->AwaitStatus().ok());
}

TEST_F(BatcherTest, ExpiredOnArrivalIsRefusedWithoutWork) {
  Start(1);
  const auto job = Submit({.cost = kSmallCost, .deadline = clock_.Now()});
  EXPECT_EQ(job->AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(job->tiles_run().empty());
}

TEST_F(BatcherTest, ExpiredOrCancelledInTheQueueCostsNoTile) {
  Start(1);
  Gate gate;
  OccupyWorkers(gate);
  const auto expired = Submit({.cost = kSmallCost, .deadline = clock_.Now() + absl::Seconds(1)});
  const auto cancelled = Submit({.cost = kSmallCost});
  const auto large = Submit({.tile_count = 3,
                             .cost = absl::Milliseconds(100),
                             .deadline = clock_.Now() + absl::Seconds(1)});
  cancelled->Cancel();
  clock_.Advance(absl::Seconds(2));
  gate.Open();
  EXPECT_EQ(expired->AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(cancelled->AwaitStatus().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(large->AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(expired->tiles_run().empty());
  EXPECT_TRUE(cancelled->tiles_run().empty());
  EXPECT_TRUE(large->tiles_run().empty());
}

TEST_F(BatcherTest, NoOkAfterTheDeadline) {
  Start(1);
  auto strings = std::make_shared<PuppetStrings>();
  strings->on_tile = [this](int64_t) {
    clock_.Advance(absl::Seconds(5));
    return absl::OkStatus();
  };
  Submit({.cost = kSmallCost, .deadline = clock_.Now() + absl::Seconds(1)}, strings);
  EXPECT_EQ(strings->AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(BatcherTest, ADeadlineInTheMiddleOfALargeJobStopsIt) {
  Start(1);
  auto strings = std::make_shared<PuppetStrings>();
  strings->on_tile = [this](int64_t) {
    clock_.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  Submit({.tile_count = 100,
          .cost = absl::Seconds(100),
          .deadline = clock_.Now() + absl::Milliseconds(2500)},
         strings);
  EXPECT_EQ(strings->AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(strings->tiles_run().size(), 3U);
}

TEST_F(BatcherTest, TheErrorOfATileIsTheJobs) {
  Start(2);
  for (const int64_t tiles : {1, 4}) {
    auto strings = std::make_shared<PuppetStrings>();
    strings->on_tile = [](int64_t) { return absl::ResourceExhaustedError("no memory"); };
    Submit({.tile_count = tiles, .cost = kSmallCost}, strings);
    EXPECT_EQ(strings->AwaitStatus().message(), "no memory");
  }
  batcher_->Drain();
  EXPECT_EQ(batcher_->GetStats().requests_answered, 0);
}

TEST_F(BatcherTest, APassThatCannotBeMadeFailsItsJobsWithTheirTimes) {
  Start(1);
  auto strings = std::make_shared<PuppetStrings>();
  strings->on_pass = [](int64_t) { return absl::ResourceExhaustedError("no memory"); };
  const auto job =
      Submit({.cost = kSmallCost, .group = GroupId{1}, .shared_cost = kSmallCost}, strings);
  EXPECT_EQ(job->AwaitStatus(), absl::ResourceExhaustedError("no memory"));
  EXPECT_EQ(job->receipt().queued, absl::ZeroDuration());
  EXPECT_EQ(job->receipt().computed, absl::ZeroDuration());
}

TEST_F(BatcherTest, AJobWithoutTilesIsAnsweredAtOnce) {
  Start(1);
  const auto job = Submit({.tile_count = 0});
  EXPECT_EQ(job->times_finished(), 1);
  EXPECT_TRUE(job->AwaitStatus().ok());
  EXPECT_TRUE(job->tiles_run().empty());
}

TEST_F(BatcherTest, RefusesWhatTheQueueDoesNotHold) {
  BatchPolicyOptions options;
  options.workers = 1;
  options.queued_requests_max = 2;
  Start(options);
  Gate gate;
  OccupyWorkers(gate);
  const auto first = Submit({.cost = kSmallCost});
  const auto second = Submit({.cost = kSmallCost});
  const auto third = Submit({.cost = kSmallCost});
  EXPECT_EQ(third->times_finished(), 1);
  EXPECT_EQ(third->AwaitStatus().code(), absl::StatusCode::kResourceExhausted);
  gate.Open();
  EXPECT_TRUE(first->AwaitStatus().ok());
  EXPECT_TRUE(second->AwaitStatus().ok());
}

TEST_F(BatcherTest, DrainFinishesWhatWasAcceptedAndRefusesTheRest) {
  Start(1);
  Gate gate;
  const auto running = OccupyWorkers(gate);
  const auto waiting = Submit({.tile_count = 3, .cost = absl::Milliseconds(30)});
  std::thread drain([this] { batcher_->Drain(); });
  // The refusals show that the drain has begun.
  absl::Status status;
  while (status.code() != absl::StatusCode::kUnavailable) {
    const auto probe =
        Submit({.tile_count = 1, .cost = kSmallCost, .deadline = clock_.Now() + absl::Seconds(1)});
    if (probe->times_finished() > 0) status = probe->AwaitStatus();
  }
  gate.Open();
  drain.join();
  EXPECT_EQ(running[0]->times_finished(), 1);
  EXPECT_EQ(waiting->times_finished(), 1);
  EXPECT_TRUE(waiting->AwaitStatus().ok());
  EXPECT_EQ(batcher_->GetStats().queue.requests(), 0);
  EXPECT_EQ(batcher_->GetStats().in_flight, 0);
}

TEST_F(BatcherTest, RefusesOptionsThatMakeNoSense) {
  BatchPolicyOptions options;
  options.workers = 0;
  EXPECT_EQ(Batcher::Create(options, &clock_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace qkserve
