#include "tools/qkctl/picture/terminal_matrix.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
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

size_t Occurrences(absl::string_view text, absl::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != absl::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

std::string Foreground(Color c) {
  return absl::StrFormat("\x1b[38;2;%d;%d;%dm", c.red, c.green, c.blue);
}

std::string Background(Color c) {
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm", c.red, c.green, c.blue);
}

TEST(MatrixTextTest, AlignsNumbersAndDropsZerosThatAllShare) {
  EXPECT_EQ(MatrixText({1.5F, -2.25F, 0, 10}, 2, 2),
            "[[ 1.50 -2.25]\n"
            " [ 0.00 10.00]]\n");
  EXPECT_EQ(MatrixText({1, 2}, 1, 2), "[[1.0 2.0]]\n");
}

TEST(MatrixTextTest, ShowsWhatIsNotFinite) {
  EXPECT_EQ(MatrixText({kNan, -kInf, kInf, 1}, 2, 2),
            "[[ nan -inf]\n"
            " [ inf  1.0]]\n");
}

TEST(MatrixTextTest, UsesExponentsForTheVeryLargeAndVerySmall) {
  EXPECT_EQ(MatrixText({1e10F, -1}, 1, 2), "[[ 1.0000e+10 -1.0000e+00]]\n");
  EXPECT_EQ(MatrixText({1e-5F, 0}, 1, 2), "[[1.0000e-05 0.0000e+00]]\n");
}

TEST(MatrixTextTest, TruncatesToHeadAndTail) {
  MatrixTextOptions options;
  options.rows_max = 3;
  options.columns_max = 4;
  EXPECT_EQ(MatrixText(Counting(100), 10, 10, options),
            "[[ 0.0  1.0 ...  8.0  9.0]\n"
            " [10.0 11.0 ... 18.0 19.0]\n"
            " ...\n"
            " [90.0 91.0 ... 98.0 99.0]]\n");
}

TEST(MatrixTextTest, ShowsMatricesThatJustFitWhole) {
  MatrixTextOptions options;
  options.rows_max = 3;
  options.columns_max = 3;
  EXPECT_FALSE(absl::StrContains(MatrixText(Counting(9), 3, 3, options), "..."));
}

TEST(MatrixTextTest, SaysTheShapeOfEmptyMatrices) {
  EXPECT_EQ(MatrixText({}, 0, 5), "[] of shape [0, 5]\n");
  EXPECT_EQ(MatrixText({}, 3, 0), "[] of shape [3, 0]\n");
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
  EXPECT_EQ(TensorText(Counting(9), {9, 1, 1}, options),
            "[0]\n[[0.0]]\n[1]\n[[1.0]]\n...\n[8]\n[[8.0]]\n");
}

TEST(TensorTextTest, SaysTheShapeOfEmptyTensors) {
  EXPECT_EQ(TensorText({}, {1000000, 0, 4}), "[] of shape [1000000, 0, 4]\n");
  EXPECT_EQ(TensorText({}, {0, 2, 3, 4}), "[] of shape [0, 2, 3, 4]\n");
  EXPECT_EQ(TensorHeatMap({}, {0, 2, 3}), "[] of shape [0, 2, 3]\n");
}

TEST(KeyedTensorTextTest, ShowsKeysBeforeTheirScores) {
  EXPECT_EQ(KeyedTensorText({12, 4, 7, -1}, {3.5F, 1.25F, 2, -kInf}, {2, 2}),
            "[[12: 3.50   4: 1.25]\n"
            " [ 7: 2.00  -1: -inf]]\n");
}

TEST(KeyedTensorTextTest, TruncatesAndSplitsAsTensorTextDoes) {
  MatrixTextOptions options;
  options.columns_max = 2;
  EXPECT_EQ(KeyedTensorText({1, 2, 30, 4, 5, 6}, {6, 5, 4, 3, 2, 1}, {2, 1, 3}, options),
            "[0]\n[[ 1: 6.0  ...  30: 4.0]]\n[1]\n[[4: 3.0  ...  6: 1.0]]\n");
  EXPECT_EQ(KeyedTensorText({}, {}, {0, 3}), "[] of shape [0, 3]\n");
}

TEST(HeatMapTest, DrawsTwoRowsALine) {
  HeatMapOptions options;
  options.enlargement_max = 1;
  const std::vector<std::string> lines = Lines(HeatMap({0, 1, 1, 0}, 2, 2, options));
  ASSERT_EQ(lines.size(), 2U);
  const std::string low = Foreground(HeatMapColor(0)) + Background(HeatMapColor(1)) + "\u2580";
  const std::string high = Foreground(HeatMapColor(1)) + Background(HeatMapColor(0)) + "\u2580";
  EXPECT_EQ(lines[0], absl::StrCat(low, high, "\x1b[0m"));
}

TEST(HeatMapTest, LegendSaysTheFiniteRange) {
  const std::vector<std::string> lines = Lines(HeatMap({-2.5F, kNan, kInf, 4}, 2, 2));
  EXPECT_TRUE(absl::StartsWith(lines.back(), "-2.5 "));
  EXPECT_TRUE(absl::EndsWith(lines.back(), " 4"));
}

TEST(HeatMapTest, StaysWithinItsSize) {
  HeatMapOptions options;
  options.width_max = 20;
  options.lines_max = 5;
  for (const int64_t rows : {1, 3, 10, 11, 500}) {
    for (const int64_t columns : {1, 7, 20, 21, 333}) {
      const std::string map = HeatMap(Counting(rows * columns), rows, columns, options);
      const std::vector<std::string> lines = Lines(map);
      EXPECT_LE(lines.size(), 6U);
      for (size_t i = 0; i + 1 < lines.size(); ++i) {
        EXPECT_LE(Occurrences(lines[i], "\u2580"), 20U);
        EXPECT_TRUE(absl::EndsWith(lines[i], "\x1b[0m"));
      }
    }
  }
}

TEST(HeatMapTest, EnlargesSmallMatrices) {
  const std::vector<std::string> lines = Lines(HeatMap({0, 1}, 1, 2));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(Occurrences(lines[0], "\u2580"), 8U);
}

TEST(HeatMapTest, ReducesByTheMeanOfFiniteValues) {
  HeatMapOptions options;
  options.width_max = 2;
  options.lines_max = 1;
  // Left half: mean of 0 and 2, the NaN left out. Right half: mean of 4 and 4.
  const std::string map = HeatMap({0, 2, kNan, 4, 4, 4}, 1, 6, options);
  EXPECT_TRUE(absl::StartsWith(map, absl::StrCat(Foreground(HeatMapColor(0.25)), "\u2580",
                                                 Foreground(HeatMapColor(1)), "\u2580")))
      << map;
}

TEST(HeatMapTest, CopesWithNothingToScale) {
  EXPECT_EQ(Lines(HeatMap({kNan, kInf}, 1, 2)).back(), "no finite values");
  EXPECT_EQ(Lines(HeatMap({3, 3}, 1, 2)).back(), "all finite values are 3");
  EXPECT_EQ(HeatMap({}, 0, 2), "[] of shape [0, 2]\n");
}

TEST(HeatMapTest, CopesWithTheWholeRangeOfFloat) {
  constexpr float kMax = std::numeric_limits<float>::max();
  HeatMapOptions options;
  options.enlargement_max = 1;
  const std::string map = HeatMap({-kMax, 0, kMax}, 1, 3, options);
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
