#include "client/qkctl/load_loop.h"

#include <atomic>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "client/qkctl/load_report.h"
#include "core/mutex.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Time that passes where a test says so.
class ManualClock : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + absl::Nanoseconds(now_ns_.load()); }
  void Advance(absl::Duration by) { now_ns_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<int64_t> now_ns_{0};
};

class LoadLoopTest : public testing::Test {
 protected:
  absl::Duration Run(int concurrency, absl::Duration duration, const SendRequest& send) {
    absl::StatusOr<absl::Duration> elapsed =
        RunLoad({concurrency, duration}, &clock_, send, stop_, &recorder_);
    EXPECT_TRUE(elapsed.ok()) << elapsed.status();
    return elapsed.value_or(absl::ZeroDuration());
  }

  ManualClock clock_;
  std::atomic<bool> stop_{false};
  LoadRecorder recorder_;
};

TEST_F(LoadLoopTest, SendsOneAfterTheOtherForTheDuration) {
  const absl::Duration elapsed = Run(1, absl::Seconds(1), [&](int) {
    clock_.Advance(absl::Milliseconds(30));
    return Receipt{absl::Milliseconds(1), absl::Milliseconds(2), 3, 4, "kernel"};
  });
  // The last request was sent at 990 ms; its answer counts and so does the time until it came.
  const LoadCounts counts = recorder_.Snapshot();
  EXPECT_EQ(counts.ok, 34);
  EXPECT_EQ(elapsed, absl::Milliseconds(34 * 30));
  EXPECT_EQ(counts.latency.Count(), 34);
  EXPECT_EQ(counts.latency.Max(), absl::Milliseconds(30));
  EXPECT_EQ(counts.latency.Min(), absl::Milliseconds(30));
  EXPECT_EQ(counts.batch_requests, 3 * 34);
  EXPECT_EQ(counts.queued, absl::Milliseconds(34));
  EXPECT_EQ(counts.computed, absl::Milliseconds(2 * 34));
}

TEST_F(LoadLoopTest, EveryThreadSendsItsOwn) {
  Mutex mutex;
  CondVar all_sent;
  std::set<int> threads;
  Run(8, absl::Seconds(1), [&](int thread) {
    MutexLock lock(&mutex);
    threads.insert(thread);
    // Nobody is answered before all have sent: eight requests are in flight at once.
    if (threads.size() == 8) {
      clock_.Advance(absl::Seconds(2));
      all_sent.NotifyAll();
    }
    while (threads.size() < 8) all_sent.Wait(&mutex);
    return Receipt();
  });
  EXPECT_EQ(recorder_.Snapshot().ok, 8);
  EXPECT_EQ(threads, (std::set<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(LoadLoopTest, EveryThreadSendsAtLeastOneRequest) {
  // The first request outlasts the duration; the others are sent all the same.
  Run(4, absl::Nanoseconds(1), [&](int) {
    clock_.Advance(absl::Seconds(1));
    return Receipt();
  });
  EXPECT_EQ(recorder_.Snapshot().ok, 4);
}

TEST_F(LoadLoopTest, CountsErrorsByCodeAndKeepsTheFirst) {
  int request = 0;
  Run(1, absl::Seconds(4), [&](int) -> absl::StatusOr<Receipt> {
    clock_.Advance(absl::Seconds(1));
    switch (request++) {
      case 0:
        return Receipt();
      case 1:
        return absl::ResourceExhaustedError("full");
      default:
        return absl::DeadlineExceededError("late");
    }
  });
  const LoadCounts counts = recorder_.Snapshot();
  EXPECT_EQ(counts.ok, 1);
  EXPECT_EQ(counts.Errors(), 3);
  EXPECT_EQ(counts.errors_by_code.at(absl::StatusCode::kResourceExhausted), 1);
  EXPECT_EQ(counts.errors_by_code.at(absl::StatusCode::kDeadlineExceeded), 2);
  EXPECT_EQ(counts.first_error, absl::ResourceExhaustedError("full"));
  // Only answers have a latency.
  EXPECT_EQ(counts.latency.Count(), 1);
}

TEST_F(LoadLoopTest, EndsWhereNoServerAnswers) {
  // The clock stands still: only the errors can end this.
  Run(4, absl::Seconds(1), [](int) { return absl::UnavailableError("connection refused"); });
  const LoadCounts counts = recorder_.Snapshot();
  EXPECT_GE(counts.Errors(), 4);
  EXPECT_LE(counts.Errors(), 8);
  EXPECT_EQ(counts.first_error.code(), absl::StatusCode::kUnavailable);
}

TEST_F(LoadLoopTest, GoesOnWhereAServerWasSeen) {
  int request = 0;
  Run(1, absl::Seconds(10), [&](int) -> absl::StatusOr<Receipt> {
    clock_.Advance(absl::Seconds(1));
    if (request++ == 0) return Receipt();
    return absl::UnavailableError("restarting");
  });
  EXPECT_EQ(recorder_.Snapshot().Errors(), 9);
}

TEST_F(LoadLoopTest, StopsEarlyOnRequest) {
  int request = 0;
  Run(1, absl::Hours(1), [&](int) {
    if (++request == 5) stop_ = true;
    return Receipt();
  });
  EXPECT_EQ(recorder_.Snapshot().ok, 5);
}

TEST_F(LoadLoopTest, ReportsRatesOverTheElapsedTime) {
  const absl::Duration elapsed = Run(1, absl::Seconds(2), [&](int) {
    clock_.Advance(absl::Milliseconds(10));
    return Receipt{absl::Microseconds(5), absl::Microseconds(7), 2, 2, "kernel"};
  });
  const LoadWorkload workload{16, 128, 64, 1, 1};
  const nlohmann::ordered_json json = LoadReportJson(workload, recorder_.Snapshot(), elapsed);
  EXPECT_DOUBLE_EQ(json.at("requests_per_second"), 100);
  EXPECT_NEAR(json.at("latency_us").at("p50"), 10'000, 10);
  EXPECT_EQ(json.at("latency_us").at("max"), 10'000);
  EXPECT_EQ(json.at("ok"), 200);
  EXPECT_EQ(json.at("errors"), 0);
  EXPECT_EQ(json.at("batch_requests_mean"), 2);
  EXPECT_DOUBLE_EQ(json.at("queued_us_mean"), 5);
  EXPECT_EQ(json.at("m"), 128);
  EXPECT_EQ(json.at("duration_s"), 2);
  const std::string text = LoadReportText(workload, recorder_.Snapshot(), elapsed);
  EXPECT_TRUE(absl::StrContains(text, "100.0\n")) << text;
  EXPECT_TRUE(absl::StrContains(text, "2.00 requests\n")) << text;
}

TEST_F(LoadLoopTest, ReportsNothingWhereNothingWasAnswered) {
  Run(1, absl::Seconds(1), [&](int) {
    clock_.Advance(absl::Seconds(1));
    return absl::InternalError("broken");
  });
  const nlohmann::ordered_json json =
      LoadReportJson({}, recorder_.Snapshot(), absl::ZeroDuration());
  EXPECT_EQ(json.at("requests_per_second"), 0);
  EXPECT_TRUE(json.at("latency_us").at("p99").is_null());
  EXPECT_TRUE(json.at("batch_requests_mean").is_null());
  EXPECT_EQ(json.at("errors_by_code").at("INTERNAL"), 1);
}

TEST(LoadProgressTest, TellsTheRateSinceTheLastLine) {
  LoadCounts counts;
  counts.ok = 150;
  EXPECT_EQ(LoadProgressText(counts, 100, absl::Seconds(2), absl::Seconds(7)),
            "25.0 requests/s, p50 0.000 ms, p99 0.000 ms, 0 errors, 7 s left");
}

}  // namespace
}  // namespace qkserve
