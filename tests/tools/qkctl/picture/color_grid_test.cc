#include "tools/qkctl/picture/color_grid.h"

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

TEST(HeatMapColorTest, IsNeverTheGreyOfWhatIsNotFinite) {
  for (int i = 0; i <= 1000; ++i) {
    const Color c = HeatMapColor(i / 1000.0);
    EXPECT_FALSE(c.red == c.green && c.green == c.blue) << i;
  }
}

TEST(FiniteRangeTest, LeavesOutWhatIsNotFinite) {
  const ValueRange range = FiniteRange({kNan, 2, -kInf, -1, kInf});
  EXPECT_EQ(range.min, -1);
  EXPECT_EQ(range.max, 2);
  EXPECT_TRUE(FiniteRange({kNan, -kInf}).empty());
}

TEST(ColorGridTest, EnlargesAndReducesEachDirectionForItself) {
  const std::vector<float> values = {0, 2, 4, 4, kNan, kInf, 1, kNan};
  const ValueRange range = FiniteRange(values);
  // Two rows become four, four columns two.
  const ColorGrid grid(values, {2, 4}, range, 4, 2);
  for (const int64_t y : {0, 1}) {
    EXPECT_EQ(grid.At(y, 0), HeatMapColor(0.25));
    EXPECT_EQ(grid.At(y, 1), HeatMapColor(1));
    EXPECT_EQ(grid.At(y + 2, 0), kNothingFinite);
    EXPECT_EQ(grid.At(y + 2, 1), HeatMapColor(0.25));
  }
}

}  // namespace
}  // namespace qkserve
