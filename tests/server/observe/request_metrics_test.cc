#include "server/observe/request_metrics.h"

#include <thread>
#include <vector>

#include "base/limit_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

int64_t Total(const RequestMetrics::TimeHistogram& histogram) {
  int64_t total = 0;
  for (const int64_t count : histogram.counts) total += count;
  return total;
}

TEST(RequestMetricsTest, ATimeFallsIntoTheFirstBucketThatHoldsIt) {
  RequestMetrics metrics;
  const auto count = [&metrics](absl::Duration time) {
    metrics.CountCall(Method::kScore, absl::StatusCode::kOk, time);
  };
  count(absl::ZeroDuration());
  count(absl::Microseconds(10));
  count(absl::Microseconds(10) + absl::Nanoseconds(1));
  count(absl::Seconds(31));
  count(-absl::InfiniteDuration());
  const RequestMetrics::TimeHistogram histogram = metrics.Read().durations[0];
  EXPECT_EQ(histogram.counts.front(), 3);
  EXPECT_EQ(histogram.counts[1], 1);
  EXPECT_EQ(histogram.counts.back(), 1);
  EXPECT_EQ(histogram.sum, 20'001 + 31'000'000'000);
}

TEST(RequestMetricsTest, AnAnswerIsAScoreCallThatEndedOk) {
  RequestMetrics metrics;
  metrics.CountCall(Method::kScore, absl::StatusCode::kOk, absl::Milliseconds(1));
  metrics.CountCall(Method::kScore, absl::StatusCode::kResourceExhausted, absl::Microseconds(1));
  metrics.CountCall(Method::kGetStatus, absl::StatusCode::kOk, absl::Microseconds(1));
  const RequestMetrics::Counts counts = metrics.Read();
  EXPECT_EQ(Total(counts.answered), 1);
  EXPECT_EQ(counts.answered.sum, 1'000'000);
  EXPECT_EQ(Total(counts.durations[0]), 2);
}

TEST(RequestMetricsTest, CountsOfAllThreadsAreSummed) {
  constexpr int kThreads = 40;  // more than there are shards
  constexpr int kCalls = 500;
  RequestMetrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&metrics] {
      for (int call = 0; call < kCalls; ++call) {
        metrics.CountCall(Method::kPutKeySet, absl::StatusCode::kNotFound, absl::Seconds(1));
        metrics.CountTimes({.queued = absl::Seconds(1), .computed = absl::Seconds(2)});
        metrics.CountBatch(3, 7);
        metrics.CountReceived(10);
        metrics.CountSent(20);
        metrics.CountRefusal(Refusal::kQueueTime);
        metrics.CountRefusal(Refusal::kNone);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  constexpr int64_t kAll = kThreads * kCalls;
  const RequestMetrics::Counts sum = metrics.Read();
  EXPECT_EQ(sum.calls[1][5], kAll);
  EXPECT_EQ(Total(sum.durations[1]), kAll);
  EXPECT_EQ(Total(sum.durations[0]), 0);
  EXPECT_EQ(Total(sum.queued), kAll);
  EXPECT_EQ(sum.computed.sum, kAll * 2'000'000'000);
  EXPECT_EQ(sum.batch_requests.counts[2], kAll);
  EXPECT_EQ(sum.batch_rows.sum, kAll * 7);
  EXPECT_EQ(sum.received_bytes, kAll * 10);
  EXPECT_EQ(sum.sent_bytes, kAll * 20);
  EXPECT_EQ(sum.refusals[1], kAll);
}

TEST(RequestMetricsTest, ARefusalIsCountedByTheLimitThatRefused) {
  const auto of_limit = [](const char* limit) { return RefusalOf(LimitError(limit, "full")); };
  EXPECT_EQ(of_limit("queue_requests_max"), Refusal::kQueueRequests);
  EXPECT_EQ(of_limit("queue_time_max"), Refusal::kQueueTime);
  EXPECT_EQ(of_limit("deadline"), Refusal::kQueueDeadline);
  EXPECT_EQ(of_limit("in_flight_bytes_max"), Refusal::kInFlightBytes);
  EXPECT_EQ(of_limit("key_set_memory"), Refusal::kKeySetMemory);
  EXPECT_EQ(RefusalOf(absl::ResourceExhaustedError("")), Refusal::kLimit);
  EXPECT_EQ(RefusalOf(absl::InvalidArgumentError("")), Refusal::kInvalid);
  EXPECT_EQ(RefusalOf(absl::NotFoundError("")), Refusal::kNotFound);
  EXPECT_EQ(RefusalOf(absl::FailedPreconditionError("")), Refusal::kPrecondition);
  EXPECT_EQ(RefusalOf(absl::DataLossError("")), Refusal::kDataLoss);
  EXPECT_EQ(RefusalOf(absl::UnavailableError("")), Refusal::kDraining);
  EXPECT_EQ(RefusalOf(absl::DeadlineExceededError("")), Refusal::kDeadline);
  EXPECT_EQ(RefusalOf(absl::UnauthenticatedError("")), Refusal::kUnauthenticated);
  EXPECT_EQ(RefusalOf(absl::PermissionDeniedError("")), Refusal::kPermission);
  EXPECT_EQ(RefusalOf(absl::CancelledError("")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(absl::InternalError("")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(absl::OkStatus()), Refusal::kNone);
}

}  // namespace
}  // namespace qkserve
