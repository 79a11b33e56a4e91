#include "tools/qkctl/output/load_verdict.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tools/qkctl/command.h"

namespace qkserve {
namespace {

LoadReport Report(int64_t ok, int64_t unsent = 0) {
  LoadReport report;
  LoadResult step;
  step.options.rate_from = step.options.rate_to = 100;
  step.counts.sent = step.counts.ok = ok;
  step.counts.unsent = unsent;
  report.steps = {step};
  return report;
}

void Fail(LoadReport& report, absl::StatusCode code, const char* message, double seconds) {
  ++report.steps.back().counts.sent;
  report.steps.back().counts.errors_by_code[code].Add({1, message, absl::Seconds(seconds)});
}

int ExitCode(const LoadReport& report, const StatusCodes& allowed = {}) {
  return ExitCodeOf(JudgeLoad(report, allowed));
}

const StatusCodes kRefusals = {false, {absl::StatusCode::kResourceExhausted}};

TEST(LoadVerdictTest, EverythingWasFine) {
  EXPECT_EQ(ExitCode(Report(100)), 0);
  EXPECT_EQ(ExitCode(Report(100, 1)), 0);  // within 1%
}

TEST(LoadVerdictTest, AScheduleThatWasNotKept) {
  EXPECT_EQ(ExitCode(Report(100, 5)), 3);
  // A backlog of the warm-up may outlast the measured time.
  const LoadReport nothing_sent = Report(0, 100);
  EXPECT_TRUE(CheckAnswered(nothing_sent, {}, false).ok());
  EXPECT_EQ(ExitCode(nothing_sent), 3);
}

TEST(LoadVerdictTest, AScheduleThatWasNotKeptSaysWhoWasBehind) {
  LoadReport report = Report(100, 100);
  EXPECT_TRUE(absl::StrContains(JudgeLoad(report, {}).message(), "client could not send faster"));
  report.steps.back().options.in_flight_max = 7;
  report.steps.back().counts.unsent_full = 60;
  EXPECT_TRUE(absl::StrContains(JudgeLoad(report, {}).message(), "--in_flight_max=7 requests"));
}

TEST(LoadVerdictTest, ErrorsCountUnlessTheyAreAllowed) {
  LoadReport report = Report(100);
  Fail(report, absl::StatusCode::kResourceExhausted, "full", 1);
  EXPECT_EQ(ExitCode(report, kRefusals), 0);
  EXPECT_EQ(ExitCode(report), 1);
  // The message quotes the error that is not allowed, although the allowed one came first.
  Fail(report, absl::StatusCode::kInternal, "late", 3);
  Fail(report, absl::StatusCode::kNotFound, "gone", 2);
  const absl::Status status = JudgeLoad(report, kRefusals);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StartsWith(status.message(), "2 of 103 requests failed")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "gone")) << status;
}

TEST(LoadVerdictTest, TheFirstLoadThatFailsIsQuoted) {
  LoadReport report = Report(100);
  Fail(report, absl::StatusCode::kInternal, "first", 9);
  report.steps.push_back(Report(100).steps[0]);
  Fail(report, absl::StatusCode::kNotFound, "second", 1);
  EXPECT_EQ(JudgeLoad(report, {}).code(), absl::StatusCode::kInternal);
}

TEST(LoadVerdictTest, AWrongAnswerIsWorst) {
  LoadReport report = Report(100, 50);
  Fail(report, absl::StatusCode::kNotFound, "gone", 1);
  report.verify.emplace();
  report.verify->result.wrong = 1;
  report.verify->result.first_wrong = absl::InternalError("wrong answer");
  EXPECT_EQ(JudgeLoad(report, {}), absl::InternalError("wrong answer"));
}

TEST(LoadVerdictTest, WhatASearchFound) {
  LoadReport report = Report(100, 50);
  report.peak.emplace();
  for (const auto& [end, exit_code] : {std::pair(PeakEnd::kFound, 0),
                                       {PeakEnd::kInterrupted, 1},
                                       {PeakEnd::kNothingHeld, 1},
                                       {PeakEnd::kServerGone, 1},
                                       {PeakEnd::kClientLimited, 3}}) {
    report.peak->end = end;
    report.steps[0].nobody_there = absl::UnavailableError("refused");
    EXPECT_EQ(ExitCode(report), exit_code) << static_cast<int>(end);
  }
  report.peak->end = PeakEnd::kServerGone;
  EXPECT_TRUE(absl::StrContains(JudgeLoad(report, {}).message(), "refused"));
}

TEST(LoadVerdictTest, AServerThatAnsweredNobodyIsAnErrorEvenIfErrorsAreAllowed) {
  LoadReport report = Report(0);
  Fail(report, absl::StatusCode::kUnavailable, "refused", 1);
  report.steps[0].nobody_there = absl::UnavailableError("refused");
  StatusCodes all;
  all.all = true;
  EXPECT_TRUE(CheckAnswered(report, all, false).ok());
  EXPECT_EQ(ExitCode(report, all), 1);
}

TEST(LoadVerdictTest, WithoutAnAnswerTheErrorIsWhatThereIsToSay) {
  LoadReport report = Report(0);
  EXPECT_EQ(CheckAnswered(report, {}, false).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CheckAnswered(report, {}, true).code(), absl::StatusCode::kCancelled);
  report.steps[0].nobody_there = absl::UnavailableError("in the warm-up");
  EXPECT_EQ(CheckAnswered(report, {}, false).message(), "in the warm-up");
  Fail(report, absl::StatusCode::kResourceExhausted, "full", 1);
  EXPECT_EQ(CheckAnswered(report, {}, false).message(),
            "no request was answered OK; the first failed with: full");
  EXPECT_TRUE(CheckAnswered(report, kRefusals, false).ok());
}

TEST(LoadVerdictTest, ATimeThatIsTooShortNamesItsFlag) {
  LoadReport report = Report(0);
  report.steps[0].options.timeout = absl::Milliseconds(1);
  Fail(report, absl::StatusCode::kDeadlineExceeded, "late", 1);
  EXPECT_EQ(CheckAnswered(report, {}, false).message(),
            "no request was answered OK; the first failed with: late; raise --timeout, which is "
            "1ms");
  report.steps[0].counts.ok = 1;
  EXPECT_EQ(JudgeLoad(report, {}).message(),
            "1 of 1 requests failed, the first with: late; raise --timeout, which is 1ms (see "
            "--allow_errors)");
}

}  // namespace
}  // namespace qkserve
