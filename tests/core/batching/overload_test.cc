// Gives the queue more load than its workers can do, in virtual time. Requests arrive at a fixed
// rate. Tiles take the time that the test says, and not the predicted time. There are no threads
// and no real clock.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "base/limit_error.h"
#include "core/batching/batch_queue.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

constexpr int64_t kWorkers = 2;
constexpr absl::Duration kRun = absl::Seconds(8);

// The requests of a run, and how far off their predictions are.
struct Traffic {
  WorkKind kind = WorkKind::kPass;
  int64_t tiles = 1;
  absl::Duration cost;  // the real time of one worker
  double real_by_predicted = 1.0;
  int key_sets = 1;
};

// Sends requests with deadlines of ten times their cost at `load` times what the workers can do.
class OpenLoop {
 public:
  OpenLoop(const Traffic& traffic, double load) : traffic_(traffic), queue_(Options()) {
    const absl::Duration period = traffic.cost / kWorkers / load;
    absl::Time arrival = now_;
    while (now_ < kBegin + kRun) {
      if (!events_.empty() && events_.begin()->first <= arrival) {
        now_ = events_.begin()->first;
        const std::function<void()> event = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        event();
      } else {
        now_ = arrival;
        Arrive();
        arrival += period;
      }
      while (queue_.HasWaiting() && queue_.HasFreeSlot()) Work();
    }
  }

  // Requests answered in time, as a part of those that the workers could have answered.
  double Goodput() const {
    return static_cast<double>(in_time_) * absl::FDivDuration(traffic_.cost, kWorkers * kRun);
  }
  int64_t in_time() const { return in_time_; }
  int64_t late() const { return late_; }
  int64_t refused() const { return refused_; }
  int64_t dropped() const { return dropped_; }

 private:
  static constexpr absl::Time kBegin = absl::UnixEpoch();

  static BatchPolicyOptions Options() {
    BatchPolicyOptions options;
    options.workers = kWorkers;
    return options;
  }

  void Arrive() {
    const auto key_set = static_cast<uint64_t>(1 + arrivals_++ % traffic_.key_sets);
    auto job = std::make_shared<QueuedJob>();
    job->job = std::make_unique<PuppetJob>(strings_);
    job->arrival = now_;
    job->spec = {.tile_count = traffic_.tiles,
                 .cost = traffic_.cost / traffic_.real_by_predicted,
                 .deadline = now_ + 10 * traffic_.cost};
    if (traffic_.kind == WorkKind::kPass) {
      job->spec.group = GroupId{key_set};
      job->spec.family = FamilyId{key_set};
    }
    const absl::Status status = queue_.Push(job, now_);
    if (status.ok()) return;
    ++refused_;
    EXPECT_EQ(LimitOf(status), "deadline") << status;
    EXPECT_TRUE(RetryAfterOf(status).has_value());
  }

  void Work() {
    const Assignment next = queue_.Take(now_);
    dropped_ += static_cast<int64_t>(next.dropped.size());
    if (const auto* small = std::get_if<SmallJobs>(&next.work)) {
      RunSmall(*small);
    } else if (const auto* pass = std::get_if<PassToMake>(&next.work)) {
      pass->work->pass = std::make_unique<PuppetPass>(strings_, traffic_.tiles);
      queue_.PassMade(pass->work, now_);
      RunTile(pass->work);
    } else if (const auto* tile = std::get_if<TileToRun>(&next.work)) {
      RunTile(tile->work);
    }
  }

  void RunTile(const std::shared_ptr<TiledWork>& work) {
    const absl::Duration took = Jitter(work->tile_cost * traffic_.real_by_predicted);
    events_.emplace(now_ + took, [this, work, took] {
      queue_.Learn(work->kind, work->tile_cost, took, now_);
      const bool is_last = queue_.TileDone(*work, absl::OkStatus(), now_);
      queue_.ReleaseSlot();
      if (!is_last) return;
      for (const auto& job : work->jobs) Finish(*job);
    });
  }

  void RunSmall(const SmallJobs& small) {
    const absl::Duration took = Jitter(small.cost * traffic_.real_by_predicted);
    events_.emplace(now_ + took, [this, small, took] {
      queue_.Learn(WorkKind::kSmall, small.cost, took, now_);
      queue_.SmallJobsDone(small);
      queue_.ReleaseSlot();
      for (const auto& job : small.jobs) Finish(*job);
    });
  }

  void Finish(const QueuedJob& job) {
    ++(job.status.ok() && now_ <= job.spec.deadline ? in_time_ : late_);
  }

  // A tile takes up to a third more or less than the others.
  absl::Duration Jitter(absl::Duration time) {
    return time * (0.67 + 0.66 * static_cast<double>(random_() % 1000) / 1000.0);
  }

  const Traffic traffic_;
  BatchQueue queue_;
  absl::Time now_ = kBegin;
  std::multimap<absl::Time, std::function<void()>> events_;
  std::shared_ptr<PuppetStrings> strings_ = std::make_shared<PuppetStrings>();
  std::mt19937 random_{1};
  int64_t arrivals_ = 0;
  int64_t in_time_ = 0, late_ = 0, refused_ = 0, dropped_ = 0;
};

class OverloadTest : public testing::TestWithParam<double> {
 protected:
  // Predictions are off by this factor.
  static double RealByPredicted() { return GetParam(); }

  static void ExpectGoodput(const Traffic& traffic) {
    for (const auto& [load, goodput] : {std::pair(1.0, 0.85), {2.0, 0.85}, {8.0, 0.75}}) {
      SCOPED_TRACE(testing::Message() << load << " times the capacity");
      const OpenLoop loop(traffic, load);
      EXPECT_GE(loop.Goodput(), goodput);
      // Work that is begun ends in time.
      EXPECT_LE(loop.late(), loop.in_time() / 20);
      // Nearly all requests that cannot be answered are refused when they come.
      EXPECT_LE(loop.dropped(), loop.in_time() / 10 + loop.refused() / 10);
    }
  }
};

TEST_P(OverloadTest, RequestsOnAKeySet) {
  ExpectGoodput({.kind = WorkKind::kPass,
                 .tiles = 15,
                 .cost = absl::Milliseconds(28),
                 .real_by_predicted = RealByPredicted()});
}

TEST_P(OverloadTest, RequestsOnManyKeySets) {
  ExpectGoodput({.kind = WorkKind::kPass,
                 .tiles = 15,
                 .cost = absl::Milliseconds(28),
                 .real_by_predicted = RealByPredicted(),
                 .key_sets = 4});
}

TEST_P(OverloadTest, LargeRequests) {
  ExpectGoodput({.kind = WorkKind::kTiled,
                 .tiles = 8,
                 .cost = absl::Milliseconds(40),
                 .real_by_predicted = RealByPredicted()});
}

TEST_P(OverloadTest, SmallRequests) {
  ExpectGoodput({.kind = WorkKind::kSmall,
                 .cost = absl::Microseconds(900),
                 .real_by_predicted = RealByPredicted()});
}

INSTANTIATE_TEST_SUITE_P(PredictionsOff, OverloadTest, testing::Values(0.5, 1.0, 2.0, 3.0));

}  // namespace
}  // namespace qkserve
