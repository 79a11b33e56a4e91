#include "tools/load/run_load.h"

#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "qkserve/channel.h"
#include "tests/support/process.h"
#include "tests/support/scoring_double.h"

namespace qkserve {
namespace {

absl::Duration OwnCpuTime() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

ScoringDouble::Answer Instant(const v1::ScoreRequest&) {
  ScoringDouble::Answer answer;
  answer.response.mutable_receipt()->set_batch_requests(3);
  answer.response.mutable_receipt()->set_queued_ns(5'000);
  answer.response.mutable_receipt()->set_computed_ns(7'000);
  answer.response.mutable_result()->set_data(std::string(40'000, 'x'));
  return answer;
}

ScoringDouble::Behaviour Refusing(grpc::StatusCode code) {
  return [code](const v1::ScoreRequest&) {
    return ScoringDouble::Answer{grpc::Status(code, "no"), {}, {}};
  };
}

class RunLoadTest : public testing::Test {
 protected:
  RunLoadTest() {
    RequestSetOptions options;
    options.workload.n = 1;
    options.workload.m = 4;
    options.workload.d = 8;
    requests_ = *BuildRequestSet(options);
    closed_.concurrency = 4;
    closed_.duration = absl::Milliseconds(300);
    open_.rate_from = open_.rate_to = 500;
    open_.arrivals = Arrivals::kConstant;
    open_.duration = absl::Milliseconds(600);
  }

  LoadResult Run(const std::string& address, const LoadOptions& options, int channels = 1,
                 const LoadObserver& observer = nullptr) {
    const auto made = MakeChannels({.address = address, .channels = channels, .attempts_max = 1});
    return RunLoad(options, {*made, &requests_, tap_}, Clock::Monotonic(), stop_, observer);
  }

  RequestSet requests_;
  LoadOptions closed_, open_;
  AnswerTap tap_;
  std::atomic<bool> stop_{false};
};

TEST_F(RunLoadTest, AClosedLoopKeepsItsRequestsInFlight) {
  std::atomic<int> now{0}, most{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    const int in_flight = ++now;
    for (int seen = most; in_flight > seen && !most.compare_exchange_weak(seen, in_flight);) {
    }
    --now;
    ScoringDouble::Answer answer = Instant(request);
    answer.delay = absl::Milliseconds(10);
    return answer;
  });
  const LoadResult result = Run(server.address(), closed_, 2);
  EXPECT_GE(result.counts.ok, 4 * 10);
  EXPECT_LE(result.counts.ok, 4 * 31);
  EXPECT_EQ(result.counts.ok, result.counts.sent);
  EXPECT_EQ(result.counts.Errors(), 0);
  EXPECT_GE(result.counts.response.Min(), absl::Milliseconds(9));
  EXPECT_EQ(result.counts.response.Max(), result.counts.service.Max());
  EXPECT_LE(most, 4);
  EXPECT_GE(result.elapsed, closed_.duration);
}

TEST_F(RunLoadTest, ReceiptsAreCounted) {
  const ScoringDouble server(&Instant);
  const LoadResult result = Run(server.address(), closed_);
  ASSERT_GT(result.counts.ok, 0);
  EXPECT_NEAR(result.counts.batches, static_cast<double>(result.counts.ok) / 3, 1e-6);
  EXPECT_NEAR(result.Whole().batch_requests_mean, 3, 1e-6);
  EXPECT_EQ(result.counts.batch_sizes[1], result.counts.ok);
  EXPECT_EQ(result.counts.queued.Percentile(50), absl::Microseconds(5));
  EXPECT_NEAR(absl::ToDoubleMicroseconds(result.counts.computed.Percentile(50)), 7, 0.01);
}

TEST_F(RunLoadTest, AnOpenLoopSendsWhatIsDue) {
  const ScoringDouble server(&Instant);
  for (const int channels : {1, 3}) {
    const LoadResult result = Run(server.address(), open_, channels);
    EXPECT_EQ(result.counts.Due(), 300);
    // Every request is sent, unless the machine is busy with something else.
    EXPECT_GE(result.counts.sent, 200);
    EXPECT_EQ(result.counts.ok, result.counts.sent);
  }
}

TEST_F(RunLoadTest, WarmUpIsNotCounted) {
  const ScoringDouble server(&Instant);
  open_.warm_up = absl::Milliseconds(200);
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.counts.Due(), 300);
  EXPECT_EQ(result.counts.ok, result.counts.sent);
  int64_t in_timeline = 0;
  for (const LoadInterval& interval : result.timeline) in_timeline += interval.ok;
  EXPECT_EQ(in_timeline, result.counts.ok);
}

// Answers after the end count as answered, but not as throughput.
TEST_F(RunLoadTest, ThroughputEndsWithTheMeasuredTime) {
  std::atomic<int> requests{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    ScoringDouble::Answer answer = Instant(request);
    if (requests++ >= 2) answer.delay = absl::Seconds(2);
    return answer;
  });
  open_.rate_from = open_.rate_to = 10;
  open_.duration = absl::Milliseconds(500);
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.counts.Due(), 5);
  EXPECT_EQ(result.counts.ok, result.counts.sent);
  EXPECT_GT(result.counts.ok, 2);
  EXPECT_LE(result.completed, 2);
  EXPECT_GE(result.elapsed, open_.duration);
  EXPECT_EQ(result.RequestsPerSecond(),
            static_cast<double>(result.completed) / absl::ToDoubleSeconds(result.elapsed));
}

TEST_F(RunLoadTest, LastsAsLongAsWasAskedFor) {
  const ScoringDouble server(&Instant);
  open_.rate_from = open_.rate_to = 1;  // the only request is due at once
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.counts.ok, 1);
  EXPECT_GE(result.elapsed, open_.duration);
}

// The server stalls for 200 ms in each second. In an open loop a fifth of the requests wait for a
// stall. In a closed loop each of the four callers waits once for each stall, among thousands of
// requests.
TEST_F(RunLoadTest, AnOpenLoopShowsAStallThatAClosedOneHides) {
  const ScoringDouble server(Stalling(absl::Milliseconds(200), absl::Seconds(1)));
  open_.duration = closed_.duration = absl::Seconds(2);
  const LoadResult open = Run(server.address(), open_);
  EXPECT_GE(open.counts.response.Percentile(99), absl::Milliseconds(150));
  EXPECT_GE(open.counts.response.Percentile(90), absl::Milliseconds(50));
  const LoadResult closed = Run(server.address(), closed_);
  EXPECT_LE(closed.counts.response.Percentile(99), absl::Milliseconds(50));
  EXPECT_GE(closed.counts.response.Max(), absl::Milliseconds(150));
}

// With at most two requests in flight the tool cannot send during the stall. The response time
// includes this wait, but the service time does not.
TEST_F(RunLoadTest, WhatMayNotBeSentIsLateAndNeverDropped) {
  const ScoringDouble server(Stalling(absl::Milliseconds(300), absl::Seconds(10)));
  open_.in_flight_max = 2;
  open_.duration = absl::Seconds(1);
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.counts.Due(), 500);
  EXPECT_EQ(result.counts.ok, result.counts.sent);
  EXPECT_GE(result.counts.late, 100);
  EXPECT_GE(result.counts.response.Percentile(90), absl::Milliseconds(150));
  EXPECT_LE(result.counts.service.Percentile(90), absl::Milliseconds(100));
  EXPECT_GE(result.counts.delay_max, absl::Milliseconds(200));
}

TEST_F(RunLoadTest, AScheduleThatWasNotKeptShows) {
  const ScoringDouble server(Stalling(absl::Hours(1), absl::Hours(2)));
  open_.in_flight_max = 2;
  open_.timeout = absl::Milliseconds(200);
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.counts.Due(), 300);
  EXPECT_LT(result.counts.sent, 20);
  EXPECT_FALSE(result.KeptSchedule());
  EXPECT_TRUE(result.counts.ServerWasBehind());
  EXPECT_EQ(result.counts.errors_by_code.at(absl::StatusCode::kDeadlineExceeded).count,
            result.counts.sent);
  // This client's clock ended the requests, while the server said nothing.
  EXPECT_EQ(result.counts.unanswered, result.counts.sent);
}

TEST_F(RunLoadTest, GoodputIsWhatCameInTime) {
  const ScoringDouble server(Stalling(absl::Milliseconds(300), absl::Seconds(10)));
  open_.in_flight_max = 2;
  open_.timeout = absl::Milliseconds(350);
  open_.latency_limit = absl::Milliseconds(100);
  const LoadResult result = Run(server.address(), open_);
  // No call fails. Calls are sent late, but each is answered within its own timeout.
  EXPECT_EQ(result.counts.Errors(), 0);
  EXPECT_EQ(result.counts.good, result.counts.ok);
  EXPECT_LT(result.counts.within_limit, result.counts.ok - 50);
}

TEST_F(RunLoadTest, AServerThatRefusesEverythingDoesNotSpinTheClient) {
  const ScoringDouble server(Refusing(grpc::StatusCode::INTERNAL));
  closed_.concurrency = 64;
  closed_.duration = absl::Seconds(2);
  const absl::Duration before = OwnCpuTime();
  const LoadResult result = Run(server.address(), closed_);
  // This is the CPU time of client and server together.
  EXPECT_LT(OwnCpuTime() - before, absl::Seconds(1));
  EXPECT_GT(result.counts.Errors(), 64 * 10);
  EXPECT_LT(result.counts.Errors(), 64 * 40);
  EXPECT_EQ(result.counts.FirstError().message(), "no");
}

// Three attempts fail, so no call fails four times.
TEST_F(RunLoadTest, RetriesHideFailuresAndAreCounted) {
  std::atomic<int> attempts{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    const int number = attempts++;
    const bool refuses = number == 1 || number == 4 || number == 7;
    return refuses ? Refusing(grpc::StatusCode::UNAVAILABLE)(request) : Instant(request);
  });
  closed_.concurrency = 1;
  open_.rate_from = open_.rate_to = 100;
  for (LoadOptions options : {closed_, open_}) {
    options.attempts = 4;
    attempts = 0;
    const LoadResult result = Run(server.address(), options, 2);
    EXPECT_EQ(result.counts.Errors(), 0);
    EXPECT_EQ(result.counts.ok, result.counts.sent);
    EXPECT_EQ(result.counts.retries, 3);
    EXPECT_EQ(result.counts.ok + 3, attempts);
    EXPECT_GT(result.counts.recovered, 0);
    EXPECT_LE(result.counts.recovered, result.counts.retries);
    EXPECT_EQ(result.counts.over_budget, 0);
  }
}

// All attempts but the first fail. The budget is 100 retries and a tenth of the calls.
TEST_F(RunLoadTest, RetriesHaveABudget) {
  std::atomic<int> attempts{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    return attempts++ == 0 ? Instant(request) : Refusing(grpc::StatusCode::UNAVAILABLE)(request);
  });
  open_.attempts = 4;
  open_.rate_from = open_.rate_to = 1000;
  const LoadResult result = Run(server.address(), open_);
  EXPECT_GT(result.counts.over_budget, 0);
  EXPECT_GE(result.counts.retries, 100);
  EXPECT_LE(result.counts.retries, result.counts.sent / 10 + 300);
}

// The load does not wait for requests that pause before a retry.
TEST_F(RunLoadTest, AnInterruptEndsThePausesBeforeRetries) {
  std::atomic<int> attempts{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    return attempts++ == 0 ? Instant(request) : Refusing(grpc::StatusCode::UNAVAILABLE)(request);
  });
  closed_.attempts = 5;
  closed_.concurrency = 64;
  closed_.duration = absl::Hours(1);
  const LoadResult result = Run(server.address(), closed_, 1, [](const LoadProgress& progress) {
    return progress.at < absl::Milliseconds(300);
  });
  EXPECT_TRUE(result.interrupted);
  EXPECT_GT(result.counts.abandoned, 0);
  EXPECT_LT(result.elapsed, absl::Seconds(20));
}

TEST_F(RunLoadTest, EndsWhereNoServerAnswers) {
  const ClosedPort port;
  open_.duration = closed_.duration = absl::Hours(1);
  LoadOptions warming_up = open_;
  warming_up.warm_up = absl::Hours(1);
  for (const LoadOptions& options : {open_, closed_, warming_up}) {
    const LoadResult result = Run(port.address(), options);
    EXPECT_EQ(result.nobody_there.code(), absl::StatusCode::kUnavailable);
    EXPECT_NE(result.nobody_there.message(), "");
  }
}

// A load that ended early says so, even if later calls are answered.
TEST_F(RunLoadTest, EndsAndSaysSoWhereAllTheFirstAreTurnedAway) {
  std::atomic<int> requests{0};
  // The load ends early if its first 10 requests are refused. The server refuses the first 40 that
  // arrive, because requests may overtake each other.
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    const bool refuses = requests++ < 40;
    ScoringDouble::Answer answer =
        refuses ? Refusing(grpc::StatusCode::UNAVAILABLE)(request) : Instant(request);
    // The delay is long enough that accepted requests are sent before the load ends early. At this
    // rate even a slow machine refuses the first requests in time.
    answer.delay = absl::Milliseconds(refuses ? 200 : 2000);
    return answer;
  });
  open_.duration = absl::Seconds(30);
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(result.nobody_there.code(), absl::StatusCode::kUnavailable);
  EXPECT_GT(result.counts.ok, 0);
  EXPECT_GE(result.counts.errors_by_code.at(absl::StatusCode::kUnavailable).count, 10);
  EXPECT_LT(result.elapsed, absl::Seconds(20));
}

TEST_F(RunLoadTest, FewRequestsThatNobodyAnswersAreEnough) {
  const ClosedPort port;
  open_.rate_from = open_.rate_to = 10;
  const LoadResult result = Run(port.address(), open_);
  EXPECT_EQ(result.nobody_there.code(), absl::StatusCode::kUnavailable);
}

TEST_F(RunLoadTest, GoesOnWhereAServerWasSeen) {
  std::atomic<int> requests{0};
  const ScoringDouble server([&](const v1::ScoreRequest& request) {
    return requests++ == 0 ? Instant(request) : Refusing(grpc::StatusCode::UNAVAILABLE)(request);
  });
  const LoadResult result = Run(server.address(), open_);
  EXPECT_TRUE(result.nobody_there.ok()) << result.nobody_there;
  EXPECT_EQ(result.counts.Due(), 300);
  EXPECT_GE(result.counts.sent, 200);
}

TEST_F(RunLoadTest, AnInterruptEndsItAndGivesUpWhatIsMissing) {
  const ScoringDouble server(Stalling(absl::Seconds(30), absl::Hours(1)));
  open_.duration = absl::Hours(1);
  const absl::Time begin = absl::Now();
  const LoadResult result = Run(server.address(), open_, 1, [this](const LoadProgress& progress) {
    stop_ = progress.at > absl::Milliseconds(200);
    return true;
  });
  EXPECT_TRUE(result.interrupted);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  EXPECT_EQ(result.counts.abandoned, result.counts.sent);
  double due = 0;  // nothing is due after the end, while the load waits for answers
  for (const LoadInterval& interval : result.timeline) due += *interval.due;
  EXPECT_NEAR(due, 500 * absl::ToDoubleSeconds(result.elapsed), 1);
  EXPECT_EQ(result.counts.Errors(), 0);
}

TEST_F(RunLoadTest, AnObserverEndsItAtOnce) {
  const ScoringDouble server(&Instant);
  closed_.duration = absl::Hours(1);
  const LoadResult result =
      Run(server.address(), closed_, 1, [](const LoadProgress&) { return false; });
  EXPECT_TRUE(result.interrupted);
  EXPECT_LT(result.elapsed, absl::Seconds(10));
}

TEST_F(RunLoadTest, TheTapSeesEveryAnswer) {
  const ScoringDouble server(&Instant);
  std::atomic<int64_t> answers{0}, bytes{0};
  tap_ = [&](int64_t, size_t request, const grpc::ByteBuffer& reply) {
    EXPECT_LT(request, requests_.requests.size());
    ++answers;
    bytes += static_cast<int64_t>(reply.Length());
  };
  const LoadResult result = Run(server.address(), open_);
  EXPECT_EQ(answers, result.counts.ok);
  EXPECT_GT(bytes, 40'000 * result.counts.ok);
}

}  // namespace
}  // namespace qkserve
