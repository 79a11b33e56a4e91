#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/tools/report/svg_reader.h"
#include "tools/report/chart.h"
#include "tools/report/load_charts.h"
#include "tools/report/load_export.h"

namespace qkserve {
namespace {

LoadResult Step(double rate_from, double rate_to) {
  LoadResult step;
  step.options.rate_from = rate_from;
  step.options.rate_to = rate_to;
  step.elapsed = absl::Seconds(10);
  LoadCounts& counts = step.counts;
  for (int i = 1; i <= 1000; ++i) {
    ++counts.sent;
    ++counts.ok;
    counts.response.Record(absl::Microseconds(100 * i));
    counts.service.Record(absl::Microseconds(90 * i));
    counts.queued.Record(absl::Microseconds(i));
    counts.computed.Record(absl::Microseconds(2 * i));
    ++counts.batch_sizes[static_cast<size_t>(i % 3)];
  }
  for (int i = 0; i < 10; ++i) {
    step.timeline.push_back(MakeInterval(step.options, absl::Seconds(i), absl::Seconds(1), counts));
  }
  step.stretches = step.timeline;
  return step;
}

LoadReport Report(std::vector<LoadResult> steps) {
  LoadReport report;
  report.workload = *FindStandardWorkload("resident-top");
  report.key_set = "<script>alert('x')</script>";
  report.machines.client_cpu = "CPU & \"more\"";
  report.machines.client_cpus = 2;
  report.machines.status.set_version("0.1.0");
  report.machines.status.set_kernel("SkylakeX");
  report.is_series = steps.size() > 1;
  report.steps = std::move(steps);
  return report;
}

size_t Count(const std::string& page, const std::string& text) {
  return std::vector<std::string>(absl::StrSplit(page, text)).size() - 1;
}

TEST(LoadPageTest, HasEveryChartWithData) {
  const std::string page = LoadPage(Report({Step(10, 100)}));
  for (const char* chart :
       {"Response time against load", "Response time over time", "Requests over time",
        "Response and service times", "Requests by the size of their batch",
        "Time queued and computed", "Inside the server over time"}) {
    EXPECT_TRUE(absl::StrContains(page, absl::StrCat("<figcaption>", chart))) << chart;
  }
  EXPECT_EQ(Count(page, "<svg "), 7u);
  EXPECT_GT(Count(page, "<g class=\"at\">"), 50u);
  EXPECT_GT(Count(page, "<rect "), 20u);
  EXPECT_TRUE(absl::StrContains(page, "SkylakeX"));
}

TEST(LoadPageTest, ShowsSeveralLoadsAgainstEachOther) {
  const std::string page = LoadPage(Report({Step(10, 10), Step(20, 20)}));
  EXPECT_TRUE(absl::StrContains(page, "Response time against load"));
  EXPECT_TRUE(absl::StrContains(page, ">20/s, poisson</td>"));
  // One load at one rate has no such chart.
  EXPECT_FALSE(absl::StrContains(LoadPage(Report({Step(10, 10)})), "Response time against load"));
}

LoadResult ClosedStep(int callers, double rate) {
  LoadResult step = Step(0, 0);
  step.options.concurrency = callers;
  step.completed = static_cast<int64_t>(rate * 10);
  return step;
}

LoadReport PeakReport() {
  LoadReport report = Report({Step(100, 100), Step(200, 200), Step(400, 400), Step(300, 300)});
  report.steps[2].interrupted = true;
  report.peak = PeakResult{{99, absl::Milliseconds(150)}, 300, 400, PeakEnd::kFound};
  for (LoadResult& step : report.steps) step.options.latency_limit = absl::Milliseconds(150);
  return report;
}

TEST(LoadPageTest, EveryChartIsReadable) {
  const LoadReport ladder =
      Report({ClosedStep(1, 900), ClosedStep(2, 1700), ClosedStep(4, 2000), ClosedStep(8, 1990)});
  for (const LoadReport& report :
       {Report({Step(10, 100)}), Report({Step(10, 10)}), ladder, PeakReport()}) {
    for (const SvgChart& chart : ReadCharts(LoadPage(report))) ExpectReadable(chart);
  }
}

TEST(LoadPageTest, ASearchShowsItsLimitAndItsPeak) {
  const std::string page = LoadPage(PeakReport());
  const std::vector<SvgChart> charts = ReadCharts(page);
  EXPECT_EQ(charts.at(0).TextsOf("mark-label"),
            (std::vector<std::string>{"limit: p99 within 150 ms", "peak 300/s", "400/s too much"}));
  EXPECT_EQ(charts.at(1).TextsOf("mark-label"),
            (std::vector<std::string>{"peak 300/s", "400/s too much"}));
  EXPECT_EQ(charts.at(2).TextsOf("mark-label"), (std::vector<std::string>{"limit 150 ms"}));
  EXPECT_TRUE(absl::StrContains(page, "In detail: 300/s, poisson"));
}

TEST(LoadPageTest, PointsOfALadderSayTheirCallers) {
  const std::vector<SvgChart> charts =
      ReadCharts(LoadPage(Report({ClosedStep(1, 900), ClosedStep(4, 2000), ClosedStep(16, 3000)})));
  EXPECT_EQ(charts.at(0).TextsOf("point"), (std::vector<std::string>{"1", "4", "16"}));
  EXPECT_EQ(charts.at(1).TextsOf("point"), (std::vector<std::string>{"900/s", "2000/s", "3000/s"}));
}

// The rates of a search go up and down, and some are tried twice.
TEST(LoadPageTest, OpenLoopsAreShownByRateOnceEach) {
  const LineChart chart =
      LatencyAgainstLoad({Step(10, 10), Step(40, 40), Step(40, 40), Step(20, 20)});
  ASSERT_EQ(chart.series[0].points.size(), 3u);
  EXPECT_EQ(chart.series[0].points[0].first, 10);
  EXPECT_EQ(chart.series[0].points[1].first, 20);
  EXPECT_EQ(chart.series[0].points[2].first, 40);
}

TEST(LoadPageTest, WhatIsDueIsShownToTheEnd) {
  LoadResult step = Step(10, 100);
  // If the load is sampled late, the last interval ends after the load.
  step.timeline.back() =
      MakeInterval(step.options, absl::Seconds(9), absl::Milliseconds(1100), step.counts);
  const LineChart chart = RateOverTime(step);
  EXPECT_EQ(chart.series.back().name, "due");
  EXPECT_NEAR(chart.series.back().points.back().second, 10 + 90 * 0.955, 0.01);
}

// The end of the load and the last answer cut intervals short. What they show is not of the load.
TEST(LoadPageTest, IntervalsThatAreNotWholeAreNotShown) {
  LoadResult step = Step(10, 10);
  const auto add = [&step](double begin, double length) {
    step.timeline.push_back(
        MakeInterval(step.options, absl::Seconds(begin), absl::Seconds(length), step.counts));
  };
  step.timeline.pop_back();
  add(9, 1.5);     // the load ends after 10 s
  add(10.5, 1);    // answers that come later
  add(11.5, 0.2);  // until the last one
  for (const LineChart& chart : {RateOverTime(step), LatencyOverTime(step)}) {
    ASSERT_EQ(chart.series[0].points.size(), 10u) << chart.title;
    EXPECT_EQ(chart.series[0].points[8].first, 8.5) << chart.title;
    EXPECT_EQ(chart.series[0].points[9].first, 11) << chart.title;
  }
}

// The first interval of a real load is often the longest, because the load begins late in it.
TEST(LoadPageTest, ALongFirstIntervalHidesNoOthers) {
  LoadResult step = Step(10, 10);
  step.timeline.clear();
  for (int i = 0; i < 10; ++i) {
    step.timeline.push_back(MakeInterval(step.options, absl::Seconds(i == 0 ? 0 : i + 0.3),
                                         absl::Seconds(i == 0 ? 1.3 : 1), step.counts));
  }
  for (const LineChart& chart : {RateOverTime(step), LatencyOverTime(step)}) {
    EXPECT_EQ(chart.series[0].points.size(), 9u) << chart.title;  // the end cuts the last one
  }
}

TEST(LoadPageTest, EscapesWhatComesFromOutside) {
  const std::string page = LoadPage(Report({Step(10, 10)}));
  EXPECT_FALSE(absl::StrContains(page, "<script"));
  EXPECT_TRUE(absl::StrContains(page, "&lt;script&gt;alert(&#39;x&#39;)"));
  EXPECT_TRUE(absl::StrContains(page, "CPU &amp; &quot;more&quot;"));
}

TEST(LoadPageTest, LoadsNothing) {
  const std::string page = LoadPage(Report({Step(10, 10)}));
  for (const char* text : {"http:", "https:", "src=", "@import", "url("}) {
    EXPECT_FALSE(absl::StrContains(page, text)) << text;
  }
  EXPECT_TRUE(absl::StrContains(page, "width=device-width"));
  EXPECT_TRUE(absl::StrContains(page, "prefers-color-scheme: dark"));
  EXPECT_TRUE(absl::StrContains(page, "@media print"));
}

TEST(LoadPageTest, SaysWhichRequestsHaveLatencies) {
  LoadResult step = Step(10, 10);
  EXPECT_TRUE(absl::StrContains(LoadPage(Report({step})),
                                "Latencies are of the 1000 requests answered OK."));
  step.counts.errors_by_code[absl::StatusCode::kUnavailable] = {5, "gone"};
  step.counts.abandoned = 2;
  EXPECT_TRUE(
      absl::StrContains(LoadPage(Report({Step(20, 20), step})),
                        "Latencies are of the 1000 requests answered OK; 7 others are left out."));
}

// The figures of a series are those of the load in detail, or say that they are not.
TEST(LoadPageTest, TheFiguresOfASeriesSayWhichLoadTheyAreOf) {
  LoadReport report = PeakReport();
  report.steps[1].counts.ok = 5000;
  report.steps[3].counts.late = 7;
  report.verify.emplace().result.wrong = 3;
  const std::string page = LoadPage(report);
  for (const char* text : {"Latencies are of the 1000 requests answered OK.",
                           "wrong answers in all loads", "late sends at 300/s, poisson"}) {
    EXPECT_TRUE(absl::StrContains(page, text)) << text;
  }
}

TEST(LoadPageTest, StandsWithoutAnyAnswer) {
  LoadResult step;
  step.options.rate_from = step.options.rate_to = 1;
  step.counts.sent = 5;
  step.counts.errors_by_code[absl::StatusCode::kUnavailable] = {5, "<gone>"};
  const std::string page = LoadPage(Report({step}));
  EXPECT_TRUE(absl::StrContains(page, "UNAVAILABLE"));
  EXPECT_TRUE(absl::StrContains(page, "the first said: &lt;gone&gt;"));
  EXPECT_FALSE(absl::StrContains(page, "nan"));
  EXPECT_FALSE(absl::StrContains(page, "inf"));
}

}  // namespace
}  // namespace qkserve
