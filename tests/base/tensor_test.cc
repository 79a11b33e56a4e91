#include "qkserve/tensor.h"

#include <limits>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ElementCountTest, MultipliesSizes) {
  EXPECT_EQ(ElementCount({2, 3, 4}), 24);
  EXPECT_EQ(ElementCount({}), 1);
}

TEST(ElementCountTest, AnySizeOfZeroIsEmpty) { EXPECT_EQ(ElementCount({5, 0, 7}), 0); }

TEST(ElementCountTest, RefusesNegativeSizesAndOverflow) {
  EXPECT_EQ(ElementCount({-1}), std::nullopt);
  EXPECT_EQ(ElementCount({0, -1}), std::nullopt);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(ElementCount({kMax, 2}), std::nullopt);
  EXPECT_EQ(ElementCount({int64_t{1} << 32, int64_t{1} << 31}), std::nullopt);
  EXPECT_EQ(ElementCount({kMax}), kMax);
}

TEST(ElementCountTest, AZeroDoesNotHideAnOverflowOfTheOtherSizes) {
  EXPECT_EQ(ElementCount({0, int64_t{1} << 40, int64_t{1} << 40}), std::nullopt);
}

TEST(ShapeStringTest, ShowsFewOfMany) {
  EXPECT_EQ(ShapeString({2, 3}), "[2, 3]");
  EXPECT_EQ(ShapeString({}), "[]");
  EXPECT_EQ(ShapeString(Shape(1000000, 1)), "[1, 1, 1, 1, 1, 1, 1, 1, ...]");
}

}  // namespace
}  // namespace qkserve
