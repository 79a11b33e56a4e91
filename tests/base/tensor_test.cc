#include "qkserve/tensor.h"

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using ::testing::ElementsAre;

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

TEST(ViewTest, HasTheTypeOfItsElementsAndTheirBytes) {
  const std::vector<float> floats(24);
  const TensorView view = View(floats, {1, 2, 3, 4});
  EXPECT_EQ(view.data_type, DataType::kFloat32);
  EXPECT_EQ(view.shape, (Shape{1, 2, 3, 4}));
  EXPECT_EQ(static_cast<const void*>(view.data), floats.data());
  EXPECT_EQ(view.size_bytes, 96);

  const bool mask[] = {true, false, true};
  EXPECT_EQ(View(mask, {3}).data_type, DataType::kBool);
  EXPECT_EQ(View(mask, {3}).size_bytes, 3);

  const std::array<uint16_t, 2> bits = {0x3f80, 0x4000};
  EXPECT_EQ(View(bits, DataType::kBfloat16, {1, 2}).data_type, DataType::kBfloat16);
  EXPECT_EQ(View(bits, DataType::kBfloat16, {1, 2}).size_bytes, 4);
}

TEST(ViewTest, AMatrixTakesSizesOfAnyIntegerType) {
  const std::vector<float> elements(6);
  EXPECT_EQ(Matrix(elements, 2, 3).shape, (Shape{2, 3}));
  EXPECT_EQ(Matrix(elements, 2, elements.size() / 2).shape, (Shape{2, 3}));
}

// The numbers 0, 1, 2 and so on.
template <typename T>
Tensor Counting(DataType data_type, Shape shape) {
  std::vector<T> elements(static_cast<size_t>(ElementCount(shape).value()));
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<T>(i);
  Tensor tensor = {data_type, std::move(shape),
                   Buffer::Allocate(elements.size() * sizeof(T)).value()};
  if (!elements.empty()) {
    std::memcpy(tensor.data.data(), elements.data(), elements.size() * sizeof(T));
  }
  return tensor;
}

TEST(TensorTest, RowsHaveAnIndexForEachDimensionButTheLast) {
  const Tensor rank1 = Counting<float>(DataType::kFloat32, {3});
  EXPECT_THAT(rank1.Row<float>(), ElementsAre(0, 1, 2));
  const Tensor rank2 = Counting<float>(DataType::kFloat32, {2, 3});
  EXPECT_THAT(rank2.Row<float>(1), ElementsAre(3, 4, 5));
  const Tensor rank3 = Counting<int32_t>(DataType::kInt32, {2, 2, 2});
  EXPECT_THAT(rank3.Row<int32_t>(1, size_t{0}), ElementsAre(4, 5));
  const Tensor rank4 = Counting<uint16_t>(DataType::kFloat16, {2, 3, 2, 2});
  EXPECT_THAT(rank4.Row<uint16_t>(1, 2, 1), ElementsAre(22, 23));
}

TEST(TensorTest, ElementsAreAllInRowMajorOrder) {
  EXPECT_THAT(Counting<float>(DataType::kFloat32, {2, 2}).Elements<float>(),
              ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(Counting<float>(DataType::kFloat32, {0, 2}).Elements<float>().empty());
  EXPECT_TRUE(Counting<float>(DataType::kFloat32, {2, 0}).Row<float>(1).empty());
}

TEST(TensorDeathTest, AnotherTypeOrIndexEndsTheProcess) {
  const Tensor tensor = Counting<float>(DataType::kFloat32, {2, 3});
  EXPECT_DEATH(tensor.Elements<int32_t>(), "a tensor of FLOAT32 \\[2, 3\\] was read as elements");
  EXPECT_DEATH(tensor.Row<uint16_t>(0), "as elements of another type");
  EXPECT_DEATH(tensor.Row<float>(2), "a tensor of FLOAT32 \\[2, 3\\] was read at row \\[2\\]");
  EXPECT_DEATH(tensor.Row<float>(-1), "at row \\[-1\\]");
  EXPECT_DEATH(tensor.Row<float>(0, 0), "at row \\[0, 0\\]");
  EXPECT_DEATH(tensor.Row<float>(), "at row \\[\\]");
}

}  // namespace
}  // namespace qkserve
