#include "tools/report/load_export.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

LoadResult Step(double rate, int64_t answers) {
  LoadResult step;
  step.options.rate_from = step.options.rate_to = rate;
  step.elapsed = absl::Seconds(2);
  step.completed = step.completed_good = answers;
  step.counts.sent = step.counts.ok = step.counts.good = answers;
  step.counts.unsent = 1;
  for (int64_t i = 0; i < answers; ++i) step.counts.response.Record(absl::Milliseconds(1));
  step.timeline = {MakeInterval(step.options, absl::ZeroDuration(), absl::Seconds(1), step.counts),
                   MakeInterval(step.options, absl::Seconds(1), absl::Seconds(1), LoadCounts())};
  return step;
}

LoadReport Report(std::vector<LoadResult> steps, bool several) {
  LoadReport report;
  report.steps = std::move(steps);
  report.is_series = several;
  return report;
}

// Returns the fields of each line. Every line must have as many fields as the first.
std::vector<std::vector<std::string>> Lines(const std::string& csv) {
  std::vector<std::vector<std::string>> lines;
  for (const absl::string_view line : absl::StrSplit(csv, '\n', absl::SkipEmpty())) {
    lines.push_back(absl::StrSplit(line, ','));
    EXPECT_EQ(lines.back().size(), lines[0].size()) << line;
  }
  return lines;
}

TEST(LoadExportTest, OneLoadHasItsTimeline) {
  const LoadReport report = Report({Step(10, 20)}, false);
  const nlohmann::ordered_json json = LoadReportJson(report);
  EXPECT_FALSE(json.contains("steps"));
  EXPECT_EQ(json.at("requests_per_second"), 10);
  EXPECT_EQ(json.at("due"), 21);
  EXPECT_EQ(json.at("intervals").size(), 2u);
  EXPECT_EQ(json.at("intervals")[0].at("due"), 10);
  EXPECT_GT(json.at("intervals")[0].at("p9999_us"), 900);
  EXPECT_TRUE(json.at("intervals")[1].at("p50_us").is_null());
  const auto lines = Lines(LoadReportCsv(report));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0][4], "requests_per_second");
  EXPECT_EQ(lines[1][4], "20.000");
  EXPECT_EQ(lines[2].back(), "");
}

// The format depends on the loads that were asked for, not on how many ran. So an early end does
// not change what a script reads.
TEST(LoadExportTest, SeveralLoadsAreStepsEvenWhereOneRan) {
  LoadReport report = Report({Step(10, 20)}, true);
  report.peak = PeakResult{{99, absl::Milliseconds(50)}, 10, {}, PeakEnd::kInterrupted};
  const nlohmann::ordered_json json = LoadReportJson(report);
  ASSERT_EQ(json.at("steps").size(), 1u);
  EXPECT_EQ(json.at("peak").at("end"), "interrupted");
  EXPECT_EQ(json.at("peak").at("requests_per_second"), 10);
  EXPECT_TRUE(json.at("peak").at("failed_at").is_null());
  const auto lines = Lines(LoadReportCsv(report));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1][4], "10.000");
  EXPECT_EQ(lines[1][6], "21.0");
}

TEST(LoadExportTest, AClosedLoopHasNothingDue) {
  LoadResult step = Step(0, 4);
  step.options.concurrency = 2;
  step.timeline = {MakeInterval(step.options, absl::ZeroDuration(), absl::Seconds(1), step.counts)};
  const LoadReport report = Report({step}, false);
  EXPECT_TRUE(LoadReportJson(report).at("intervals")[0].at("due").is_null());
  const auto lines = Lines(LoadReportCsv(report));
  EXPECT_EQ(lines[1][0], "2");
  EXPECT_EQ(lines[1][1], "");
  EXPECT_EQ(lines[1][6], "");
}

TEST(LoadExportTest, WithoutAnswersThereAreNoTimes) {
  const nlohmann::ordered_json json = LoadReportJson(Report({Step(10, 0)}, false));
  for (const char* field : {"p50", "max", "mean"}) {
    EXPECT_TRUE(json.at("latency_us").at(field).is_null()) << field;
  }
  EXPECT_TRUE(json.at("batch_requests_mean").is_null());
  EXPECT_EQ(json.at("requests_per_second"), 0);
}

}  // namespace
}  // namespace qkserve
