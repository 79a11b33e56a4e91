#include "client/retry_budget.h"

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr int kAttemptsMax = 4;

struct Totals {
  int64_t calls = 0;
  int64_t retries = 0;
  int64_t failed = 0;
  int64_t over_budget = 0;

  double RetriesPerCall() const {
    return static_cast<double>(retries) / static_cast<double>(calls);
  }
};

// An attempt of a call, at the time when the attempt ends.
struct Attempt {
  absl::Time time;
  int number = 1;
  int connection = 0;

  bool operator>(const Attempt& other) const { return time > other.time; }
};

// Simulates a client, which begins calls at a constant rate, alternately on two connections.
// `fails` says which attempts fail. A failed attempt is retried on the other connection after a
// pause of 0.1, 0.2 or 0.4 s.
Totals Simulate(int calls_a_second, int seconds, const std::function<bool(const Attempt&)>& fails) {
  const absl::Time begin = absl::UnixEpoch() + absl::Hours(1);
  RetryBudget budget;
  Totals totals;
  std::priority_queue<Attempt, std::vector<Attempt>, std::greater<>> retries;
  const auto end_attempt = [&](Attempt attempt) {
    const bool failed = fails(attempt);
    bool again = failed && attempt.number < kAttemptsMax;
    if (again && !budget.TakeRetry(attempt.time)) {
      ++totals.over_budget;
      again = false;
    }
    if (again) {
      ++totals.retries;
      const absl::Duration pause = absl::Milliseconds(50 << attempt.number);
      retries.push({attempt.time + pause, attempt.number + 1, 1 - attempt.connection});
      return;
    }
    budget.EndCall();
    if (failed) ++totals.failed;
  };
  for (int64_t i = 0; i < int64_t{calls_a_second} * seconds; ++i) {
    const absl::Time now = begin + absl::Seconds(1) * i / calls_a_second;
    while (!retries.empty() && retries.top().time <= now) {
      const Attempt next = retries.top();
      retries.pop();
      end_attempt(next);
    }
    ++totals.calls;
    budget.BeginCall(now);
    end_attempt({now, 1, static_cast<int>(i % 2)});
  }
  return totals;
}

// Random decisions, the same in every run.
class Chance {
 public:
  explicit Chance(double probability) : probability_(probability) {}
  bool operator()(const Attempt& /*attempt*/) {
    return std::uniform_real_distribution<double>()(random_) < probability_;
  }

 private:
  const double probability_;
  std::mt19937 random_{1};
};

// Without the budget there would be three retries for each call.
TEST(RetryBudgetTest, AServerThatFailsEverythingGetsATenthMore) {
  const Totals totals = Simulate(1000, 60, Chance(1));
  EXPECT_GE(totals.failed, totals.calls - 200);  // the other calls wait for a retry
  EXPECT_GE(totals.RetriesPerCall(), 0.1);
  EXPECT_LE(totals.RetriesPerCall(), 0.13);
}

// Without the budget there would be 0.875 retries for each call.
TEST(RetryBudgetTest, AServerThatFailsHalfGetsATenthMore) {
  const Totals totals = Simulate(1000, 60, Chance(0.5));
  EXPECT_GE(totals.RetriesPerCall(), 0.1);
  EXPECT_LE(totals.RetriesPerCall(), 0.13);
}

TEST(RetryBudgetTest, FewFailuresAreAllRetried) {
  const Totals totals = Simulate(1000, 60, Chance(0.05));
  EXPECT_EQ(totals.over_budget, 0);
  EXPECT_LE(totals.failed, 3);  // four failures in a row
}

// One of two connections fails every attempt for a second, until the loss is noticed.
TEST(RetryBudgetTest, ALostConnectionFailsNoCall) {
  const absl::Time lost = absl::UnixEpoch() + absl::Hours(1) + absl::Seconds(20);
  const Totals totals = Simulate(1000, 60, [&](const Attempt& attempt) {
    return attempt.connection == 1 && attempt.time >= lost &&
           attempt.time < lost + absl::Seconds(1);
  });
  EXPECT_EQ(totals.retries, 500);
  EXPECT_EQ(totals.failed, 0);
}

TEST(RetryBudgetTest, AQuietClientRetriesAsOftenAsItMay) {
  const Totals totals = Simulate(3, 60, Chance(1));
  EXPECT_EQ(totals.over_budget, 0);
}

// If a connection is lost, all its calls fail at once. Each of them needs a retry.
TEST(RetryBudgetTest, AllCallsInFlightMayBeSentAgainAtOnce) {
  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  RetryBudget budget;
  for (int i = 0; i < 5000; ++i) budget.BeginCall(now);
  // After half a minute the calls no longer count as begun, but they still count as in flight.
  now += absl::Seconds(30);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(budget.TakeRetry(now)) << i;
  EXPECT_FALSE(budget.TakeRetry(now));
  // After the calls have ended, the reserve is 100 again.
  for (int i = 0; i < 5000; ++i) budget.EndCall();
  now += absl::Seconds(9);
  EXPECT_FALSE(budget.TakeRetry(now));
  now += absl::Seconds(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(budget.TakeRetry(now)) << i;
  EXPECT_FALSE(budget.TakeRetry(now));
}

}  // namespace
}  // namespace qkserve
