#include "tools/load/load_counts.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

LoadAnswer Answered(absl::Duration intended, absl::Duration answered,
                    const absl::Status& status = absl::OkStatus(), int64_t batch_requests = 1) {
  LoadAnswer answer;
  answer.intended = answer.sent = intended;
  answer.answered = answered;
  answer.status = status;
  answer.receipt.batch_requests = batch_requests;
  return answer;
}

const LoadLimits kLimits = {absl::Seconds(2), absl::Milliseconds(100)};

TEST(LoadCountsTest, GoodIsWhatCameWithinTheTimeout) {
  LoadRecorder recorder(1, kLimits);
  recorder.RecordAnswer(0, Answered(absl::Seconds(1.2), absl::Seconds(1.3)));
  recorder.RecordAnswer(0, Answered(absl::Seconds(1.2), absl::Seconds(3)));
  recorder.RecordAnswer(0, Answered(absl::Seconds(1.2), absl::Seconds(4)));
  const LoadCounts counts = recorder.Snapshot();
  EXPECT_EQ(counts.ok, 3);
  EXPECT_EQ(counts.good, 2);
  EXPECT_EQ(counts.within_limit, 1);
}

TEST(LoadCountsTest, TheTimesOfRefusalsAreKeptApart) {
  LoadRecorder recorder(1, kLimits);
  recorder.RecordAnswer(0, Answered({}, absl::Milliseconds(3), absl::ResourceExhaustedError("")));
  recorder.RecordAnswer(0, Answered({}, absl::Milliseconds(9), absl::UnavailableError("")));
  recorder.RecordAnswer(0, Answered({}, absl::Milliseconds(50)));
  const LoadCounts counts = recorder.Snapshot();
  EXPECT_EQ(counts.refused.Count(), 1);
  EXPECT_EQ(counts.refused.Max(), absl::Milliseconds(3));
  EXPECT_EQ(counts.response.Count(), 1);
}

// One request alone, and three in one batch, are two batches. A mean over requests would be 2.5.
TEST(LoadCountsTest, BatchesAreCountedFromTheSizesInReceipts) {
  LoadRecorder recorder(2, kLimits);
  for (const int64_t size : {1, 3, 3}) {
    recorder.RecordAnswer(0, Answered({}, absl::Seconds(1), absl::OkStatus(), size));
  }
  const LoadCounts earlier = recorder.Snapshot();
  recorder.RecordAnswer(1, Answered({}, absl::Seconds(1), absl::OkStatus(), 3));
  EXPECT_NEAR(recorder.Snapshot().batches, 2, 1e-9);
  EXPECT_NEAR(recorder.Snapshot().Since(earlier).batches, 1.0 / 3, 1e-9);
  // If a server leaves the size out, the request counts as one batch.
  recorder.RecordAnswer(1, Answered({}, absl::Seconds(1), absl::OkStatus(), 0));
  EXPECT_NEAR(recorder.Snapshot().batches, 3, 1e-9);
}

TEST(LoadCountsTest, TheFirstErrorIsTheFirstOfAllSendersAndCodes) {
  LoadRecorder recorder(2, kLimits);
  const auto at = [](double seconds, const absl::Status& status) {
    return Answered(absl::Seconds(1), absl::Seconds(seconds), status);
  };
  EXPECT_TRUE(recorder.Snapshot().FirstError().ok());
  recorder.RecordAnswer(0, at(3, absl::AbortedError("third")));
  recorder.RecordAnswer(1, at(1, absl::AbortedError("first")));
  recorder.RecordAnswer(1, at(2, absl::UnavailableError("second")));
  const LoadCounts counts = recorder.Snapshot();
  EXPECT_EQ(counts.FirstError(), absl::AbortedError("first"));
  EXPECT_EQ(counts.errors_by_code.at(absl::StatusCode::kAborted).count, 2);
  EXPECT_EQ(counts.errors_by_code.at(absl::StatusCode::kUnavailable).first_message, "second");
  EXPECT_EQ(counts.Errors(), 3);
}

TEST(LoadCountsTest, WhatCameSinceIsADifference) {
  LoadRecorder recorder(1, kLimits);
  recorder.RecordSend(0, absl::ZeroDuration());
  recorder.RecordAnswer(0, Answered(absl::Seconds(1), absl::Seconds(1.5)));
  const LoadCounts earlier = recorder.Snapshot();
  recorder.RecordSend(0, absl::Milliseconds(5));
  recorder.RecordAnswer(0, Answered(absl::Seconds(1), absl::Seconds(2), absl::AbortedError("")));
  const LoadCounts rest = recorder.Snapshot().Since(earlier);
  EXPECT_EQ(rest.sent, 1);
  EXPECT_EQ(rest.late, 1);
  EXPECT_EQ(rest.ok, 0);
  EXPECT_EQ(rest.Errors(), 1);
}

TEST(LoadCountsTest, WhoeverWasFullWasNotTheClient) {
  LoadRecorder recorder(2, kLimits);
  EXPECT_FALSE(recorder.Snapshot().ServerWasBehind());
  recorder.RecordUnsent(0, 10, /*is_full=*/false);
  EXPECT_FALSE(recorder.Snapshot().ServerWasBehind());
  recorder.RecordUnsent(1, 10, /*is_full=*/true);
  EXPECT_TRUE(recorder.Snapshot().ServerWasBehind());
}

}  // namespace
}  // namespace qkserve
