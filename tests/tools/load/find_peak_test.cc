#include "tools/load/find_peak.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tools/report/load_report.h"

namespace qkserve {
namespace {

// Searches for the peak of a server. A function describes the server: it returns the result of a
// load.
class FindPeakTest : public testing::Test {
 protected:
  FindPeakTest() {
    options_.load.rate_from = options_.load.rate_to = 100;
    options_.load.duration = absl::Seconds(1);
    options_.limit = {99, absl::Milliseconds(50)};
    options_.may_fail = [](absl::StatusCode code) {
      return std::find(kOverloadCodes.begin(), kOverloadCodes.end(), code) != kOverloadCodes.end();
    };
  }

  // Returns a step that sent all due requests. A part `in_time` of them was answered in time.
  static LoadResult Step(const LoadOptions& options, double in_time) {
    LoadResult step;
    step.options = options;
    step.counts.sent = step.counts.ok = static_cast<int64_t>(options.rate_from);
    step.counts.within_limit = static_cast<int64_t>(options.rate_from * in_time);
    return step;
  }

  PeakResult Search(const std::function<LoadResult(const LoadOptions&)>& run) {
    steps_.clear();
    const PeakResult peak = FindPeak(
        options_, [&](const LoadOptions& load, const auto&) { return run(load); }, stop_, &steps_);
    LoadReport report;
    report.steps = steps_;
    report.peak = peak;
    text_ = PeakText(report);
    return peak;
  }

  PeakOptions options_;
  std::atomic<bool> stop_{false};
  std::vector<LoadResult> steps_;
  std::string text_;  // report of the last search
};

TEST_F(FindPeakTest, FindsWhatHolds) {
  const PeakResult peak =
      Search([](const LoadOptions& load) { return Step(load, load.rate_from <= 1500 ? 1 : 0.5); });
  EXPECT_EQ(peak.end, PeakEnd::kFound);
  EXPECT_LE(*peak.held, 1500);
  EXPECT_GT(*peak.failed, 1500);
  EXPECT_LE(*peak.failed / *peak.held, 1.05);
  EXPECT_TRUE(absl::StartsWith(text_, "peak: 14")) << text_;
  EXPECT_TRUE(absl::StrContains(text_, "/s do not (7")) << text_;
}

TEST_F(FindPeakTest, SaysThatNothingHolds) {
  const PeakResult peak = Search([](const LoadOptions& load) { return Step(load, 0); });
  EXPECT_EQ(peak.end, PeakEnd::kNothingHeld);
  EXPECT_TRUE(absl::StartsWith(text_, "no peak: no rate held p99 <= 50ms, and lower")) << text_;
}

TEST_F(FindPeakTest, RefusalsOfOverloadAreOverTheLimit) {
  const PeakResult peak = Search([](const LoadOptions& load) {
    LoadResult step = Step(load, load.rate_from <= 1500 ? 1 : 0.5);
    if (load.rate_from <= 1500) return step;
    step.counts.ok /= 2;
    step.counts.errors_by_code[absl::StatusCode::kResourceExhausted].count = step.counts.ok;
    return step;
  });
  EXPECT_EQ(peak.end, PeakEnd::kFound);
  EXPECT_TRUE(absl::StrContains(text_, " RESOURCE_EXHAUSTED)")) << text_;
}

TEST_F(FindPeakTest, StepsKnowTheLimitAndDoNotRepeatEachOther) {
  std::set<uint64_t> seeds;
  Search([&](const LoadOptions& load) {
    EXPECT_EQ(load.latency_limit, absl::Milliseconds(50));
    EXPECT_TRUE(seeds.insert(load.seed).second);
    EXPECT_GE(load.rate_from, 10);  // fewer requests in a second say nothing
    return Step(load, 0);
  });
  EXPECT_GT(seeds.size(), 4u);
}

TEST_F(FindPeakTest, OtherErrorsEndIt) {
  const auto run = [](const LoadOptions& load) {
    LoadResult step = Step(load, 1);
    if (load.rate_from > 200) step.counts.errors_by_code[absl::StatusCode::kNotFound].count = 1;
    return step;
  };
  EXPECT_EQ(Search(run).end, PeakEnd::kFailed);
  EXPECT_EQ(steps_.size(), 3u);
  EXPECT_TRUE(absl::StartsWith(text_, "no peak found: requests failed; 200/s hold")) << text_;
  options_.may_fail = [](absl::StatusCode) { return true; };
  EXPECT_EQ(Search(run).end, PeakEnd::kFound);
}

TEST_F(FindPeakTest, AServerThatGoesIsNoPeak) {
  const PeakResult peak = Search([](const LoadOptions& load) {
    LoadResult step = Step(load, load.rate_from > 200 ? 0 : 1);
    if (load.rate_from > 200) step.nobody_there = absl::UnavailableError("gone");
    return step;
  });
  EXPECT_EQ(peak.end, PeakEnd::kServerGone);
  EXPECT_EQ(peak.held, 200);
  EXPECT_TRUE(absl::StrContains(text_, "does not answer any more; 200/s hold")) << text_;
}

// Two steps without any answer say nothing about the rate that the server can serve.
TEST_F(FindPeakTest, AServerThatAnswersNobodyIsNoPeak) {
  int silent_steps = 0;
  const auto run = [&](const LoadOptions& load) {
    LoadResult step = Step(load, 1);
    if (load.rate_from <= 200 || silent_steps == 0) return step;
    --silent_steps;
    step.counts.ok = step.counts.within_limit = 0;
    step.counts.errors_by_code[absl::StatusCode::kDeadlineExceeded].count = step.counts.sent;
    return step;
  };
  silent_steps = 2;
  const PeakResult peak = Search(run);
  EXPECT_EQ(peak.end, PeakEnd::kServerGone);
  EXPECT_EQ(peak.held, 200);
  EXPECT_EQ(steps_.size(), 4u);
  // One step without answers may be the fault of the machine.
  silent_steps = 1;
  EXPECT_NE(Search(run).end, PeakEnd::kServerGone);
}

TEST_F(FindPeakTest, AnInterruptIsNoPeak) {
  const PeakResult peak = Search([this](const LoadOptions& load) {
    stop_ = load.rate_from > 200;
    return Step(load, 1);
  });
  EXPECT_EQ(peak.end, PeakEnd::kInterrupted);
  EXPECT_EQ(peak.held, 200);
  EXPECT_TRUE(absl::StartsWith(text_, "no peak found: ended early; 200/s hold")) << text_;
}

TEST_F(FindPeakTest, ARateThatCannotBeSentIsTheClients) {
  const auto run = [](const LoadOptions& load) {
    LoadResult step = Step(load, 1);
    step.counts.unsent = std::max<int64_t>(0, step.counts.sent - 1500);
    step.counts.sent -= step.counts.unsent;
    step.counts.within_limit = step.counts.ok = step.counts.sent;
    return step;
  };
  EXPECT_EQ(Search(run).end, PeakEnd::kClientLimited);
  EXPECT_TRUE(absl::StartsWith(text_, "no peak found: this client could not send more; 1"))
      << text_;
  // The 2 % of requests that were not sent are not the reason for the failure.
  EXPECT_EQ(Search([](const LoadOptions& load) {
              LoadResult step = Step(load, load.rate_from <= 1500 ? 1 : 0.5);
              if (load.rate_from > 1500) step.counts.unsent = step.counts.sent / 50;
              return step;
            }).end,
            PeakEnd::kFound);
  // If the load waited for answers, the server limits the peak.
  const PeakResult peak = Search([&run](const LoadOptions& load) {
    LoadResult step = run(load);
    step.counts.unsent_full = step.counts.unsent;
    return step;
  });
  EXPECT_EQ(peak.end, PeakEnd::kFound);
}

}  // namespace
}  // namespace qkserve
