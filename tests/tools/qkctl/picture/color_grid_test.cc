#include "tools/qkctl/picture/color_grid.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(HeatMapColorTest, RisesInLightnessAndIsClamped) {
  double last = -1;
  for (int i = 0; i <= 100; ++i) {
    const Color c = HeatMapColor(i / 100.0);
    const double lightness = 0.2126 * c.red + 0.7152 * c.green + 0.0722 * c.blue;
    EXPECT_GT(lightness, last);
    last = lightness;
  }
  EXPECT_EQ(HeatMapColor(0), (Color{68, 1, 84}));
  EXPECT_EQ(HeatMapColor(1), (Color{253, 231, 37}));
  EXPECT_EQ(HeatMapColor(-3), HeatMapColor(0));
  EXPECT_EQ(HeatMapColor(3), HeatMapColor(1));
}

TEST(HeatMapColorTest, IsNeverTheColorOfWhatIsNotFinite) {
  for (int i = 0; i <= 1000; ++i) {
    const Color c = HeatMapColor(i / 1000.0);
    for (const Color other : {kNanColor, kMinusInfinityColor, kPlusInfinityColor}) {
      // The colours must be far enough apart for an eye.
      const int distance = std::abs(c.red - other.red) + std::abs(c.green - other.green) +
                           std::abs(c.blue - other.blue);
      EXPECT_GT(distance, 100) << i;
    }
  }
}

TEST(FiniteRangeTest, LeavesOutWhatIsNotFinite) {
  const ValueRange range = FiniteRange({kNan, 2, -kInf, -1, kInf});
  EXPECT_EQ(range.min, -1);
  EXPECT_EQ(range.max, 2);
  EXPECT_TRUE(FiniteRange({kNan, -kInf}).empty());
}

TEST(ColorOfTest, TellsApartWhatIsNotFinite) {
  const ValueRange range = {0, 1};
  EXPECT_EQ(ColorOf(0.25F, range), HeatMapColor(0.25));
  EXPECT_EQ(ColorOf(kNan, range), kNanColor);
  EXPECT_EQ(ColorOf(-kInf, range), kMinusInfinityColor);
  EXPECT_EQ(ColorOf(kInf, range), kPlusInfinityColor);
}

TEST(CountNotFiniteTest, CountsEachKindThatOccurs) {
  EXPECT_TRUE(CountNotFinite({1, 2}).empty());
  const std::vector<NotFinite> kinds = CountNotFinite({kNan, 1, -kInf, kNan});
  ASSERT_EQ(kinds.size(), 2U);
  EXPECT_EQ(kinds[0].name, "-inf");
  EXPECT_EQ(kinds[0].count, 1);
  EXPECT_EQ(kinds[1].name, "nan");
  EXPECT_EQ(kinds[1].count, 2);
}

TEST(IndexTicksTest, AreRoundAndFarEnoughApart) {
  EXPECT_EQ(IndexTicks(5, 0.3), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(IndexTicks(1000, 130), (std::vector<int64_t>{0, 200, 400, 600, 800}));
  EXPECT_EQ(IndexTicks(1, 50), (std::vector<int64_t>{0}));
}

TEST(ColorGridTest, EnlargesAndReducesEachDirectionForItself) {
  // Two rows become four, and four columns become two.
  const ColorGrid grid({0, 2, 4, 4, kNan, kInf, 1, kNan}, {2, 4}, 4, 2);
  for (const int64_t y : {0, 1}) {
    EXPECT_EQ(grid.At(y, 0), 1);
    EXPECT_EQ(grid.At(y, 1), 4);
    EXPECT_TRUE(std::isnan(grid.At(y + 2, 0)));
    EXPECT_EQ(grid.At(y + 2, 1), 1);
  }
  EXPECT_EQ(grid.reduction().rows, 1);
  EXPECT_EQ(grid.reduction().columns, 2);
}

TEST(ColorGridTest, ShowsNanBeforeInfinityAndInfinityBeforeMinusInfinity) {
  EXPECT_EQ(ColorGrid({-kInf, -kInf}, {1, 2}, 1, 1).At(0, 0), -kInf);
  EXPECT_EQ(ColorGrid({kInf, -kInf}, {1, 2}, 1, 1).At(0, 0), kInf);
  EXPECT_TRUE(std::isnan(ColorGrid({kNan, kInf}, {1, 2}, 1, 1).At(0, 0)));
  EXPECT_TRUE(std::isnan(ColorGrid({kInf, kNan}, {1, 2}, 1, 1).At(0, 0)));
  EXPECT_EQ(ColorGrid({kNan, 3}, {1, 2}, 1, 1).At(0, 0), 3);
}

// If single values set the range, the means of a large matrix would all have nearly the same
// colour.
TEST(ColorGridTest, ItsRangeIsThatOfWhatItShows) {
  const ColorGrid grid({-100, 100, 1, 3}, {1, 4}, 1, 2);
  EXPECT_EQ(grid.range().min, 0);
  EXPECT_EQ(grid.range().max, 2);
}

}  // namespace
}  // namespace qkserve
