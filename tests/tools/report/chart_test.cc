#include "tools/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/tools/report/svg_reader.h"
#include "tools/report/axis.h"

namespace qkserve {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  return std::vector<std::string>(absl::StrSplit(text, part)).size() - 1;
}

constexpr bool kLogarithmic = true;

ChartAxis LatencyAxis() { return {"", Unit::kMilliseconds, kLogarithmic}; }
ChartAxis RateAxis() { return {"requests due", Unit::kPerSecond, false, /*from_zero=*/true}; }

// Returns response times of a server whose queue grows at more than 1000 requests/s.
LineChart Hockey(std::vector<double> rates) {
  LineChart chart = {"Response time", RateAxis(), LatencyAxis(), {{"p50", {}}, {"p99", {}}}};
  for (const double rate : rates) {
    const double wait = 1 / std::max(0.01, 1 - rate / 1000);
    chart.series[0].points.emplace_back(rate, wait);
    chart.series[1].points.emplace_back(rate, 3 * wait);
    chart.point_labels.push_back(absl::StrCat(rate));
  }
  return chart;
}

TEST(LineChartTest, LimitAndPeakAreDrawnAndLabelled) {
  LineChart chart = Hockey({100, 200, 400, 800, 900, 950});
  chart.levels = {{50, "limit: p99 within 50 ms"}};
  chart.places = {{900, "peak 900/s", /*is_good=*/true}, {950, "950/s too much"}};
  const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(Count(drawn.svg, "<path class=\"mark\""), 2u);
  EXPECT_EQ(Count(drawn.svg, "<path class=\"mark good\""), 1u);
  EXPECT_EQ(drawn.TextsOf("mark-label"),
            (std::vector<std::string>{"limit: p99 within 50 ms", "peak 900/s", "950/s too much"}));
}

TEST(LineChartTest, NoMarkCrossesALabel) {
  for (const double peak : {120, 700, 900}) {
    for (const double distance : {1, 10, 50, 150}) {
      SCOPED_TRACE(absl::StrCat(peak, " and ", distance, " more"));
      LineChart chart = Hockey({100, 200, 400, 800, 900, 950});
      chart.levels = {{50, "limit: p99 within 50 ms"}};
      chart.places = {{peak, "peak 12500/s", /*is_good=*/true},
                      {peak + distance, "12800/s too much"}};
      const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
      ExpectReadable(drawn);
      ASSERT_EQ(drawn.levels.size(), 1u);
      ASSERT_EQ(drawn.places.size(), 2u);
      EXPECT_EQ(drawn.TextsOf("mark-label").size(), 3u);
      for (const SvgText& text : drawn.texts) {
        if (!absl::StartsWith(text.css_class, "mark-label")) continue;
        EXPECT_FALSE(text.top < drawn.levels[0] && drawn.levels[0] < text.bottom) << text.text;
        for (const double x : drawn.places) {
          EXPECT_FALSE(text.left < x && x < text.right) << text.text;
        }
      }
    }
  }
}

// A level is inside the plot even if all points are far from it.
TEST(LineChartTest, ALimitIsInsideThePlot) {
  for (const double limit : {0.01, 1.0, 3.0, 4000.0}) {
    LineChart chart = Hockey({100, 500});
    chart.levels = {{limit, "limit"}};
    const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
    ExpectReadable(drawn);
    EXPECT_EQ(drawn.TextsOf("mark-label").size(), 1u) << limit;
    const std::string path = drawn.svg.substr(drawn.svg.find("class=\"mark\" d=\"M66.0 ") + 22);
    const double y = std::strtod(path.c_str(), nullptr);
    EXPECT_GE(y, Drawing::kTop);
    EXPECT_LE(y, Drawing::kBottom);
  }
}

LineChart PointsAt(std::vector<double> rates, double value) {
  LineChart chart = {"Response time", RateAxis(), LatencyAxis(), {{"p99", {}}}};
  for (const double rate : rates) chart.series[0].points.emplace_back(rate, value);
  return chart;
}

TEST(LineChartTest, ALimitHasItsLabelBetweenPointsAtBothEnds) {
  LineChart chart = PointsAt({0, 20, 40, 960, 980, 1000}, 50);
  chart.levels = {{50, "limit"}};
  const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(drawn.TextsOf("mark-label"), std::vector<std::string>{"limit"});
}

TEST(LineChartTest, ALimitHasItsLabelEvenWherePointsLeaveNoRoom) {
  std::vector<double> rates;
  for (int i = 0; i < 25; ++i) rates.push_back(40 * i);
  LineChart chart = PointsAt(rates, 50);
  chart.levels = {{50, "limit: p99 within 50 ms"}};
  EXPECT_EQ(ReadCharts(ChartSvg(chart)).at(0).TextsOf("mark-label").size(), 1u);
}

TEST(LineChartTest, PointsHaveTheirLabels) {
  const SvgChart drawn = ReadCharts(ChartSvg(Hockey({100, 300, 600, 900}))).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(drawn.TextsOf("point"), (std::vector<std::string>{"100", "300", "600", "900"}));
}

TEST(LineChartTest, LabelsThatHaveNoRoomAreLeftOut) {
  std::vector<double> rates;
  for (int i = 0; i < 25; ++i) rates.push_back(900 + i * 4);
  const SvgChart drawn = ReadCharts(ChartSvg(Hockey(rates))).at(0);
  ExpectReadable(drawn);
  EXPECT_LT(drawn.TextsOf("point").size(), 25u);
  EXPECT_GT(drawn.TextsOf("point").size(), 3u);
}

TEST(LineChartTest, LinesThatCoincideAreOneWithBothNames) {
  LineChart chart = Hockey({100, 300, 600});
  chart.series.push_back({"max", chart.series[1].points});
  const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(Count(drawn.svg, "class=\"line "), 2u);
  EXPECT_EQ(drawn.TextsOf("name"), (std::vector<std::string>{"p99, max", "p50"}));
}

TEST(LineChartTest, NamesOfLinesThatEndTogetherDoNotOverlap) {
  LineChart chart = {"t", RateAxis(), LatencyAxis(), {}};
  for (const char* name : {"p50", "p90", "p99", "p99.9", "max"}) {
    const auto spread = static_cast<double>(chart.series.size());
    chart.series.push_back({name, {{1, 10 + 40 * spread}, {2, 10 + 0.4 * spread}}});
  }
  const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(drawn.TextsOf("name").size(), 5u);
}

TEST(LineChartTest, APointerShowsTheValuesOfAPlace) {
  const std::string svg = ChartSvg(Hockey({100, 500}));
  EXPECT_EQ(Count(svg, "<g class=\"at\">"), 2u);
  EXPECT_TRUE(absl::StrContains(svg, ">500: 500/s</text>")) << svg;
  EXPECT_TRUE(absl::StrContains(svg, ">p50 2 ms</text>")) << svg;
  EXPECT_TRUE(absl::StrContains(svg, ">p99 6 ms</text>")) << svg;
}

TEST(LineChartTest, LeavesOutWhatCannotBeDrawn) {
  LineChart chart = {"t", {"x"}, {"y", Unit::kNone, kLogarithmic}, {{"a", {{1, 0}, {2, -1}}}}};
  EXPECT_EQ(ChartSvg(chart), "");
  chart.series[0].points = {{1, 5}, {2, HUGE_VAL}, {3, 5}};
  const SvgChart drawn = ReadCharts(ChartSvg(chart)).at(0);
  ExpectReadable(drawn);
  EXPECT_EQ(drawn.markers.size(), 2u);
}

TEST(BarChartTest, TwoDistributionsLookDifferent) {
  const BarChart chart = {"t", "x", Unit::kPercent, {"a", "b"}, {{"r", {10, 90}}, {"s", {60, 40}}}};
  const std::string svg = ChartSvg(chart);
  ExpectReadable(ReadCharts(svg).at(0));
  EXPECT_EQ(Count(svg, "<rect class=\"bar0\""), 2u);
  EXPECT_EQ(Count(svg, "<rect class=\"bar1\""), 2u);
  EXPECT_TRUE(absl::StrContains(svg, "<p class=\"legend\">"));
  EXPECT_EQ(ChartSvg(BarChart{"t", "x", Unit::kNone, {"a"}, {{"s", {0}}}}), "");
  EXPECT_EQ(ChartSvg(BarChart{"t", "x", Unit::kNone, {"a"}, {{"s", {std::nan("")}}}}), "");
}

TEST(AxisTest, TicksAreRoundAndFarEnoughApart) {
  for (double low = 0.001; low < 1000; low *= 3.3) {
    for (const double ratio : {1.0, 1.7, 12.0, 1000.0, 1e7}) {
      for (const bool is_logarithmic : {false, true}) {
        const ChartAxis options = {"", Unit::kNone, is_logarithmic};
        Axis axis(options, 0, 200);
        axis.Fit({low, low * ratio});
        const std::vector<double> ticks = axis.Ticks(30);
        ASSERT_GE(ticks.size(), 2u) << low << ' ' << ratio << ' ' << is_logarithmic;
        for (size_t i = 0; i < ticks.size(); ++i) {
          EXPECT_GE(axis.At(ticks[i]), -0.5);
          EXPECT_LE(axis.At(ticks[i]), 200.5);
          EXPECT_TRUE(i == 0 || axis.At(ticks[i]) - axis.At(ticks[i - 1]) >= 29.9) << low;
          const double rounded = std::strtod(absl::StrFormat("%.2g", ticks[i]).c_str(), nullptr);
          EXPECT_NEAR(ticks[i], rounded, 1e-9 * std::abs(rounded));
        }
        EXPECT_GT(axis.At(low), 0);
        EXPECT_LT(axis.At(low * ratio), 200);
      }
    }
  }
}

TEST(ChartTextTest, NumbersAreShort) {
  EXPECT_EQ(NumberText(0.25), "0.25");
  EXPECT_EQ(NumberText(1234), "1234");
  EXPECT_EQ(NumberText(12'500), "12.5k");
  EXPECT_EQ(NumberText(3'200'000), "3.2M");
  EXPECT_EQ(NumberText(std::nan("")), "-");
}

TEST(ChartTextTest, NumbersHaveTheirUnit) {
  EXPECT_EQ(UnitText(0.25, Unit::kMilliseconds), "250 µs");
  EXPECT_EQ(UnitText(999.7, Unit::kMilliseconds), "1 s");
  EXPECT_EQ(UnitText(48.123, Unit::kMilliseconds), "48.1 ms");
  EXPECT_EQ(UnitText(0, Unit::kMilliseconds), "0");
  EXPECT_EQ(UnitText(2.5, Unit::kSeconds), "2.5 s");
  EXPECT_EQ(UnitText(425.3, Unit::kPerSecond), "425/s");
  EXPECT_EQ(UnitText(12'500, Unit::kPerSecond), "12.5k/s");
  EXPECT_EQ(UnitText(33.333, Unit::kPercent), "33.3%");
  EXPECT_EQ(UnitText(HUGE_VAL, Unit::kPercent), "-");
}

}  // namespace
}  // namespace qkserve
