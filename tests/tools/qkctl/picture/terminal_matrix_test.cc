#include "tools/qkctl/picture/terminal_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

std::vector<std::string> Lines(absl::string_view text) {
  EXPECT_TRUE(absl::EndsWith(text, "\n"));
  return absl::StrSplit(text.substr(0, text.size() - 1), '\n');
}

std::string Foreground(Color c) {
  return absl::StrFormat("\x1b[38;2;%d;%d;%dm", c.red, c.green, c.blue);
}

std::string Background(Color c) {
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm", c.red, c.green, c.blue);
}

TEST(MatrixTextTest, AlignsNumbersAndDropsZerosThatAllShare) {
  EXPECT_EQ(TensorText({1.5F, -2.25F, 0, 10}, {2, 2}),
            "[[ 1.50 -2.25]\n"
            " [ 0.00 10.00]]\n");
  EXPECT_EQ(TensorText({1, 2}, {1, 2}), "[[1.0 2.0]]\n");
}

TEST(MatrixTextTest, ShowsWhatIsNotFinite) {
  EXPECT_EQ(TensorText({kNan, -kInf, kInf, 1}, {2, 2}),
            "[[ nan -inf]\n"
            " [ inf  1.0]]\n");
}

TEST(MatrixTextTest, ZeroHasNoSign) {
  EXPECT_EQ(TensorText({-0.0F, -1e-6F, -1.5F}, {1, 3}), "[[ 0.0  0.0 -1.5]]\n");
}

TEST(MatrixTextTest, UsesExponentsForTheVeryLargeAndVerySmall) {
  EXPECT_EQ(TensorText({1e10F, -1}, {1, 2}), "[[ 1.0000e+10 -1.0000e+00]]\n");
  EXPECT_EQ(TensorText({1e-5F, 0}, {1, 2}), "[[1.0000e-05 0.0000e+00]]\n");
}

TEST(MatrixTextTest, TruncatesToHeadAndTail) {
  MatrixTextOptions options;
  options.rows_max = 3;
  options.columns_max = 4;
  EXPECT_EQ(TensorText(Counting(100), {10, 10}, {}, options),
            "[[ 0.0  1.0 ...  8.0  9.0]\n"
            " [10.0 11.0 ... 18.0 19.0]\n"
            " ...\n"
            " [90.0 91.0 ... 98.0 99.0]]\n");
}

TEST(MatrixTextTest, ShowsMatricesThatJustFitWhole) {
  MatrixTextOptions options;
  options.rows_max = 3;
  options.columns_max = 3;
  EXPECT_FALSE(absl::StrContains(TensorText(Counting(9), {3, 3}, {}, options), "..."));
}

TEST(MatrixTextTest, SaysTheShapeOfEmptyMatrices) {
  EXPECT_EQ(TensorText({}, {0, 5}), "[] of shape [0, 5]\n");
  EXPECT_EQ(TensorText({}, {3, 0}), "[] of shape [3, 0]\n");
}

TEST(TensorTextTest, ShowsLowRanks) {
  EXPECT_EQ(TensorText({2.5F}, {}), "2.5\n");
  EXPECT_EQ(TensorText({1, 2}, {2}), "[[1.0 2.0]]\n");
  EXPECT_EQ(TensorText({1, 2}, {2, 1}), "[[1.0]\n [2.0]]\n");
}

TEST(TensorTextTest, ShowsEveryMatrixBelowItsLeadingIndex) {
  EXPECT_EQ(TensorText(Counting(4), {2, 2, 1, 1}),
            "[0, 0]\n[[0.0]]\n[0, 1]\n[[1.0]]\n[1, 0]\n[[2.0]]\n[1, 1]\n[[3.0]]\n");
}

TEST(TensorTextTest, TruncatesLeadingIndices) {
  MatrixTextOptions options;
  options.matrices_max = 3;
  EXPECT_EQ(TensorText(Counting(9), {9, 1, 1}, {}, options),
            "[0]\n[[0.0]]\n[1]\n[[1.0]]\n...\n[8]\n[[8.0]]\n");
}

TEST(TensorTextTest, SaysTheShapeOfEmptyTensors) {
  EXPECT_EQ(TensorText({}, {1000000, 0, 4}), "[] of shape [1000000, 0, 4]\n");
  EXPECT_EQ(TensorText({}, {0, 2, 3, 4}), "[] of shape [0, 2, 3, 4]\n");
  EXPECT_EQ(TensorHeatMap({}, {0, 2, 3}), "[] of shape [0, 2, 3]\n");
}

// The index -1 says that fewer keys were left.
TEST(KeyedTensorTextTest, ShowsKeysBeforeTheirScores) {
  EXPECT_EQ(TensorText({3.5F, 1.25F, 2, -kInf}, {2, 2}, {12, 4, 7, -1}),
            "[[12: 3.50   4: 1.25]\n"
            " [ 7: 2.00         -]]\n");
}

TEST(KeyedTensorTextTest, TruncatesAndSplitsAsTensorTextDoes) {
  MatrixTextOptions options;
  options.columns_max = 2;
  EXPECT_EQ(TensorText({6, 5, 4, 3, 2, 1}, {2, 1, 3}, {1, 2, 30, 4, 5, 6}, options),
            "[0]\n[[ 1: 6.0  ...  30: 4.0]]\n[1]\n[[4: 3.0  ...  6: 1.0]]\n");
  EXPECT_EQ(TensorText({}, {0, 3}, {}), "[] of shape [0, 3]\n");
}

// Returns a line without its colours. Each block becomes one character.
std::string Visible(const std::string& line) {
  std::string visible;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = line.find('m', i);
    } else if (static_cast<unsigned char>(line[i]) < 0x80) {
      visible += line[i];
    } else if ((static_cast<unsigned char>(line[i]) & 0xC0) == 0xC0) {
      visible += '#';
    }
  }
  return visible;
}

std::vector<std::string> VisibleLines(absl::string_view map) {
  std::vector<std::string> lines = Lines(map);
  for (std::string& line : lines) line = Visible(line);
  return lines;
}

TEST(MatrixTextTest, HasAsManyColumnsAsFit) {
  MatrixTextOptions options;
  options.width_max = 34;
  EXPECT_EQ(TensorText(Counting(24), {3, 8}, {}, options),
            "[[ 0.0  1.0  2.0 ...  6.0  7.0]\n"
            " [ 8.0  9.0 10.0 ... 14.0 15.0]\n"
            " [16.0 17.0 18.0 ... 22.0 23.0]]\n");
  for (const int64_t width : {20, 40, 80}) {
    options.width_max = width;
    const std::vector<int32_t> keys(40, 1'000'000);
    for (const std::string& line :
         Lines(TensorText(std::vector<float>(40, -12345.678F), {4, 10}, keys, options))) {
      EXPECT_LE(line.size(), static_cast<size_t>(std::max<int64_t>(width, 51))) << line;
    }
  }
}

TEST(HeatMapTest, HasTitleAxesAndRange) {
  HeatMapOptions options;
  options.enlargement_max = 2;
  const std::vector<std::string> lines =
      VisibleLines(TensorHeatMap(Counting(12), {3, 4}, {"weights"}, options));
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[0], "weights: 3 queries down, 4 keys across");
  EXPECT_EQ(lines[1], "0 ########");
  EXPECT_EQ(lines[2], "  ########");
  EXPECT_EQ(lines[3], "  ########");
  EXPECT_EQ(lines[4], "  0   2");
  EXPECT_EQ(lines[5], absl::StrCat("0 ", std::string(24, ' '), " 11"));
}

TEST(HeatMapTest, DrawsTwoRowsALine) {
  HeatMapOptions options;
  options.enlargement_max = 1;
  const std::vector<std::string> lines = Lines(TensorHeatMap({0, 1, 1, 0}, {2, 2}, {}, options));
  ASSERT_EQ(lines.size(), 4U);
  const std::string low = Foreground(HeatMapColor(0)) + Background(HeatMapColor(1)) + "\u2580";
  const std::string high = Foreground(HeatMapColor(1)) + Background(HeatMapColor(0)) + "\u2580";
  EXPECT_EQ(lines[1], absl::StrCat("0 ", low, high, "\x1b[0m"));
}

TEST(HeatMapTest, LegendSaysTheRangeAndWhatIsNotFinite) {
  const std::string last =
      VisibleLines(TensorHeatMap({-2.5F, kNan, -kInf, 4, -kInf, kInf}, {2, 3})).back();
  EXPECT_TRUE(absl::StartsWith(last, "-2.5 ")) << last;
  EXPECT_TRUE(absl::EndsWith(last, " 4  # -inf: 2  # inf: 1  # nan: 1")) << last;
}

TEST(HeatMapTest, StaysWithinItsSize) {
  HeatMapOptions options;
  options.lines_max = 5;
  for (const int64_t width : {45, 80}) {
    options.width_max = width;
    for (const int64_t rows : {1, 3, 10, 11, 5000}) {
      for (const int64_t columns : {1, 7, 20, 80, 333, 12345}) {
        std::vector<float> values = Counting(rows * columns);
        values[0] = kNan;
        const std::vector<std::string> lines =
            VisibleLines(TensorHeatMap(values, {rows, columns}, {}, options));
        for (const std::string& line : lines) {
          EXPECT_LE(line.size(), static_cast<size_t>(width)) << rows << " x " << columns << line;
        }
        EXPECT_LE(lines.size(), 5U + 5U);
      }
    }
  }
}

// The means of a large random matrix are near 0, far from its largest and smallest values.
TEST(HeatMapTest, ALargeMatrixIsScaledByWhatIsShown) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(1000 * 1000);
  for (float& value : values) value = normal(random);
  values[5] = 1000;  // a single outlier
  const std::string map = TensorHeatMap(values, {1000, 1000});
  std::set<std::string> colors;
  for (const std::string& line : Lines(map)) {
    for (const absl::string_view part : absl::StrSplit(line, "\x1b[38;2;")) {
      colors.insert(std::string(part.substr(0, part.find('m'))));
    }
  }
  EXPECT_GT(colors.size(), 40U);
  const std::vector<std::string> lines = VisibleLines(map);
  EXPECT_EQ(lines[0], "1000 queries down, 1000 keys across");
  const std::string legend = absl::StrCat(lines[lines.size() - 2], "  ", lines.back());
  EXPECT_TRUE(absl::StrContains(legend, "  means of up to 21 x 14 values  all values: -"))
      << legend;
  EXPECT_TRUE(absl::EndsWith(legend, " to 1000")) << legend;
}

TEST(HeatMapTest, EnlargesSmallMatrices) {
  const std::vector<std::string> lines = VisibleLines(TensorHeatMap({0, 1}, {1, 2}));
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[1], "0 ########");
}

TEST(HeatMapTest, ReducesByTheMeanOfFiniteValues) {
  HeatMapOptions options;
  options.width_max = 4;
  options.lines_max = 1;
  // The left half is the mean of 0 and 2, without the NaN. The right half is the mean of three 4s.
  const std::string map = TensorHeatMap({0, 2, kNan, 4, 4, 4}, {1, 6}, {}, options);
  EXPECT_TRUE(absl::StrContains(map, absl::StrCat("0 ", Foreground(HeatMapColor(0)), "\u2580",
                                                  Foreground(HeatMapColor(1)), "\u2580")))
      << map;
}

TEST(HeatMapTest, CopesWithNothingToScale) {
  EXPECT_EQ(VisibleLines(TensorHeatMap({kNan, kInf}, {1, 2})).back(),
            "no finite values  # inf: 1  # nan: 1");
  EXPECT_EQ(Lines(TensorHeatMap({3, 3}, {1, 2})).back(), "all finite values are 3");
  EXPECT_EQ(TensorHeatMap({}, {0, 2}), "[] of shape [0, 2]\n");
}

TEST(HeatMapTest, CopesWithTheWholeRangeOfFloat) {
  constexpr float kMax = std::numeric_limits<float>::max();
  HeatMapOptions options;
  options.enlargement_max = 1;
  const std::string map = TensorHeatMap({-kMax, 0, kMax}, {1, 3}, {}, options);
  EXPECT_TRUE(absl::StrContains(map, Foreground(HeatMapColor(0.5)))) << map;
}

TEST(TensorHeatMapTest, DrawsEveryMatrixWithItsOwnLegend) {
  const std::string map = TensorHeatMap(Counting(8), {2, 2, 2});
  EXPECT_TRUE(absl::StartsWith(map, "[0]\n"));
  EXPECT_TRUE(absl::StrContains(map, "\n[1]\n"));
  EXPECT_TRUE(absl::EndsWith(map, " 7\n"));
}

}  // namespace
}  // namespace qkserve
