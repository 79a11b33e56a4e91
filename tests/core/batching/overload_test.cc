// Gives the queue more load than its workers can do, in virtual time (QueueSimulation).

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/queue_simulation.h"

namespace qkserve {
namespace {

constexpr int64_t kWorkers = 2;

QueueSimulation Simulation(std::vector<SimulatedCallers> callers) {
  QueueSimulation simulation;
  simulation.options.workers = kWorkers;
  simulation.callers = std::move(callers);
  return simulation;
}

OverTime Always(double value) {
  return [value](absl::Duration) { return value; };
}

// `value` from `begin` to `end`, otherwise `before`.
OverTime Step(double before, double value, absl::Duration begin, absl::Duration end) {
  return [=](absl::Duration at) { return begin <= at && at < end ? value : before; };
}

// `value` for the first `length` of every `period`, otherwise `rest`.
OverTime Bursts(double rest, double value, absl::Duration length, absl::Duration period) {
  return [=](absl::Duration at) { return at % period < length ? value : rest; };
}

// Requests like the workload resident-heavy of bench/. Each takes one worker 28 ms, and its timeout
// is ten times as long.
SimulatedCallers Heavy(const OverTime& load) {
  return {.kind = WorkKind::kPass,
          .tiles = 15,
          .cost = absl::Milliseconds(28),
          .timeout = absl::Milliseconds(280),
          .load = load};
}

// The share of the workers' time that was spent on answers in time.
double ShareOf(const QueueSimulation& simulation, const QueueSimulation::Result& result, size_t i) {
  return absl::FDivDuration(simulation.callers[i].cost * result.outcomes[i].in_time,
                            simulation.duration * kWorkers);
}

// --- One kind of callers, at a constant load, on workers whose speed differs from the prediction -

class OverloadTest : public testing::TestWithParam<double> {
 protected:
  // `callers` must have their real costs and timeouts. Expects that at most the part `dropped_max`
  // of their requests is dropped after admission.
  static void ExpectGoodput(SimulatedCallers callers, double dropped_max = 0.01) {
    const double slowness = GetParam();
    callers.cost /= slowness;
    for (const auto& [load, goodput] : {std::pair(1.0, 0.85), {2.0, 0.9}, {10.0, 0.9}}) {
      SCOPED_TRACE(testing::Message() << load << " times the capacity");
      callers.load = Always(load / slowness);
      QueueSimulation simulation = Simulation({callers});
      simulation.slowness = Always(slowness);
      const QueueSimulation::Result result = simulation.Run();
      const SimulatedOutcome& outcome = result.outcomes[0];
      EXPECT_GE(result.goodput, goodput);
      // Nearly all work that has begun ends in time.
      EXPECT_LE(outcome.late, outcome.in_time / 20);
      // Nearly all requests that cannot be answered are refused on arrival.
      EXPECT_LE(outcome.Dropped(), dropped_max * outcome.sent);
      EXPECT_THAT(outcome.refused, testing::SizeIs(testing::Le(1U)));
      EXPECT_EQ(outcome.refused.count("queue_time_max"), 0U);
    }
  }
};

TEST_P(OverloadTest, RequestsOnAKeySet) { ExpectGoodput(Heavy({})); }

TEST_P(OverloadTest, RequestsOnManyKeySets) {
  SimulatedCallers callers = Heavy({});
  callers.key_sets = 4;
  // More requests are dropped, because key sets that had no requests when a request arrived may get
  // some later and then take turns.
  ExpectGoodput(callers, 0.06);
}

TEST_P(OverloadTest, LargeRequests) {
  ExpectGoodput({.kind = WorkKind::kTiled,
                 .tiles = 8,
                 .cost = absl::Milliseconds(40),
                 .timeout = absl::Milliseconds(400)});
}

TEST_P(OverloadTest, SmallRequests) {
  ExpectGoodput({.kind = WorkKind::kSmall,
                 .cost = absl::Microseconds(900),
                 .timeout = absl::Milliseconds(9)});
}

INSTANTIATE_TEST_SUITE_P(PredictionsOff, OverloadTest, testing::Values(0.5, 1.0, 2.0, 3.0));

// --- Loads and speeds that change ----------------------------------------------------------------

TEST(OverloadChangesTest, ABurstIsAnsweredByItsDeadlines) {
  // A burst is 100 ms at three times the capacity: 300 ms of work for all workers. The part that
  // does not fit is refused. Nothing is refused between the bursts.
  const QueueSimulation simulation =
      Simulation({Heavy(Bursts(0.4, 3, absl::Milliseconds(100), absl::Seconds(1)))});
  const SimulatedOutcome outcome = simulation.Run().outcomes[0];
  EXPECT_LE(outcome.Refused(), outcome.sent / 8);
  EXPECT_LE(outcome.late + outcome.Dropped(), outcome.sent / 100);
}

TEST(OverloadChangesTest, AfterAStepTheQueueIsShortAgainWithinItsDeadlines) {
  constexpr absl::Duration kDown = absl::Seconds(6);
  const QueueSimulation simulation = Simulation({Heavy(Step(0.5, 10, absl::Seconds(2), kDown))});
  const QueueSimulation::Result result = simulation.Run();
  const SimulatedOutcome& outcome = result.outcomes[0];
  const int64_t answered_after =
      std::count_if(outcome.answered.begin(), outcome.answered.end(), [&](absl::Time at) {
        return at > QueueSimulation::kBegin + kDown + absl::Milliseconds(300);
      });
  // Answers are counted for the last 1.7 s, in which the load is half of the capacity.
  EXPECT_GE(answered_after, 0.75 * 1.7 * 0.5 * kWorkers / 0.028);
  EXPECT_LE(outcome.late + outcome.Dropped(), outcome.sent / 100);
}

TEST(OverloadChangesTest, WorkersThatBecomeSlowCostNoMoreThanTheirTime) {
  QueueSimulation simulation = Simulation({Heavy(Always(2))});
  simulation.duration = absl::Seconds(16);
  simulation.slowness = Bursts(1, 4, absl::Seconds(2), absl::Seconds(4));
  EXPECT_GE(simulation.Run().goodput, 0.9);
  // The fast phases are shorter than the time for which a learned speed is kept.
  simulation.slowness = Bursts(1, 4, absl::Milliseconds(100), absl::Milliseconds(400));
  EXPECT_GE(simulation.Run().goodput, 0.95);
}

// --- Callers without a deadline ------------------------------------------------------------------

TEST(OverloadWithoutDeadlineTest, NobodyWaitsLongerThanTheLimit) {
  SimulatedCallers callers = Heavy(Always(2));
  callers.timeout = absl::InfiniteDuration();
  QueueSimulation simulation = Simulation({callers});
  simulation.duration = absl::Seconds(40);
  // From 15 s to 25 s, the workers are four times as slow as predicted.
  simulation.slowness = Step(1, 4, absl::Seconds(15), absl::Seconds(25));
  const QueueSimulation::Result result = simulation.Run();
  const SimulatedOutcome& outcome = result.outcomes[0];
  const absl::Duration limit = simulation.options.queued_time_max;
  EXPECT_LE(PercentileOf(outcome.queued, 100), limit);
  EXPECT_LE(PercentileOf(outcome.drops, 100), limit + absl::Seconds(1));
  EXPECT_GE(result.goodput, 0.95);
  EXPECT_EQ(outcome.refused.count("deadline") + outcome.dropped.count("deadline"), 0U);
  EXPECT_GT(outcome.refused.at("queue_time_max"), 0);
}

TEST(OverloadWithoutDeadlineTest, InAStandingQueueTheyWaitHalfAsLong) {
  SimulatedCallers callers = Heavy(Always(2));
  callers.timeout = absl::InfiniteDuration();
  QueueSimulation simulation = Simulation({callers});
  simulation.duration = absl::Seconds(20);
  const SimulatedOutcome outcome = simulation.Run().outcomes[0];
  EXPECT_LE(PercentileOf(outcome.queued, 50), simulation.options.queued_time_max * 0.55);
  EXPECT_EQ(outcome.Dropped(), 0);
}

// Neither kind of callers starves the other, whichever asks for more.
TEST(OverloadWithoutDeadlineTest, TheyShareTheWorkersWithThoseThatHaveOne) {
  for (const auto& [urgent_load, patient_load] : {std::pair(2.0, 2.0), {10.0, 2.0}, {2.0, 10.0}}) {
    SCOPED_TRACE(testing::Message() << urgent_load << " with deadlines, " << patient_load
                                    << " without, in times of the capacity");
    SimulatedCallers patient = Heavy(Always(patient_load));
    patient.timeout = absl::InfiniteDuration();
    QueueSimulation simulation = Simulation({Heavy(Always(urgent_load)), patient});
    simulation.duration = absl::Seconds(30);
    const QueueSimulation::Result result = simulation.Run();
    EXPECT_GE(result.goodput, 0.9);
    EXPECT_GE(ShareOf(simulation, result, 0), 0.3);
    EXPECT_GE(ShareOf(simulation, result, 1), 0.3);
    EXPECT_LE(PercentileOf(result.outcomes[1].queued, 100), simulation.options.queued_time_max);
    // Few requests are dropped after admission.
    EXPECT_LE(result.outcomes[1].Dropped(), result.outcomes[1].sent / 30);
  }
}

// A queue of patient callers must not make the server refuse a caller who cannot wait.
TEST(OverloadWithoutDeadlineTest, ThoseWithDeadlinesGoFirstIfTheOthersCanWait) {
  // The patient callers come in bursts of 1.5 s of work.
  SimulatedCallers patient = Heavy(Bursts(0, 3, absl::Milliseconds(500), absl::Seconds(4)));
  patient.timeout = absl::InfiniteDuration();
  QueueSimulation simulation = Simulation({Heavy(Always(0.4)), patient});
  simulation.duration = absl::Seconds(20);
  const QueueSimulation::Result result = simulation.Run();
  EXPECT_LE(result.outcomes[0].Refused() + result.outcomes[0].Dropped(),
            result.outcomes[0].sent / 50);
  EXPECT_EQ(result.outcomes[1].Refused() + result.outcomes[1].Dropped(), 0);
}

// --- Mixtures ------------------------------------------------------------------------------------

TEST(OverloadMixtureTest, LightAndHeavyRequestsBothGetThrough) {
  const SimulatedCallers light = {.kind = WorkKind::kTiled,
                                  .tiles = 4,
                                  .cost = absl::Milliseconds(8),
                                  .timeout = absl::Milliseconds(80),
                                  .load = Always(0.7)};
  const SimulatedCallers big = {.kind = WorkKind::kTiled,
                                .tiles = 40,
                                .cost = absl::Milliseconds(200),
                                .timeout = absl::Seconds(2),
                                .load = Always(1.3)};
  QueueSimulation simulation = Simulation({light, big});
  simulation.duration = absl::Seconds(20);
  const QueueSimulation::Result result = simulation.Run();
  EXPECT_GE(result.goodput, 0.85);
  EXPECT_GE(ShareOf(simulation, result, 0), 0.3);
  EXPECT_GE(ShareOf(simulation, result, 1), 0.2);
}

TEST(OverloadMixtureTest, ShortAndLongDeadlinesBothGetThrough) {
  SimulatedCallers hurried = Heavy(Always(1));
  hurried.timeout = absl::Milliseconds(150);
  SimulatedCallers calm = Heavy(Always(1));
  calm.timeout = absl::Seconds(2);
  QueueSimulation simulation = Simulation({hurried, calm});
  simulation.duration = absl::Seconds(20);
  const QueueSimulation::Result result = simulation.Run();
  EXPECT_GE(result.goodput, 0.9);
  EXPECT_GE(ShareOf(simulation, result, 0), 0.2);
  EXPECT_GE(ShareOf(simulation, result, 1), 0.2);
}

TEST(OverloadMixtureTest, TheQueueIsBoundedByCountWhateverTheDeadlines) {
  SimulatedCallers callers = {
      .kind = WorkKind::kSmall, .cost = absl::Microseconds(100), .load = Always(10)};
  QueueSimulation simulation = Simulation({callers});
  simulation.duration = absl::Seconds(1);
  simulation.options.queued_requests_max = 300;
  const QueueSimulation::Result result = simulation.Run();
  EXPECT_EQ(result.waiting_max, 300);
  EXPECT_GT(result.outcomes[0].refused.at("queue_requests_max"), 0);
}

TEST(OverloadMixtureTest, RefusedCallersComeBackAtDifferentTimes) {
  const SimulatedOutcome outcome = Simulation({Heavy(Always(5))}).Run().outcomes[0];
  const auto [first, last] =
      std::minmax_element(outcome.retry_after.begin(), outcome.retry_after.end());
  EXPECT_GE(*first, absl::Milliseconds(10));
  EXPECT_LE(*last, absl::Seconds(2));
  const std::set<absl::Duration> different(outcome.retry_after.begin(), outcome.retry_after.end());
  EXPECT_GE(different.size(), 100U);
}

}  // namespace
}  // namespace qkserve
