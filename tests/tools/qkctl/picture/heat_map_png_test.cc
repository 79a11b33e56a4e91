#include "tools/qkctl/picture/heat_map_png.h"

#include <png.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr Color kWhite{255, 255, 255};

// On the right there are white and then the bar.
constexpr int64_t kBarGap = 8;
constexpr int64_t kBarWidth = 16;
constexpr int64_t kGap = 3;

struct Picture {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<Color> pixels;

  Color At(int64_t y, int64_t x) const { return pixels[y * width + x]; }
  int64_t matrix_width() const { return width - kBarGap - kBarWidth; }
};

Picture Decode(const std::string& bytes) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  Picture picture;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) {
    ADD_FAILURE() << image.message;
    return picture;
  }
  image.format = PNG_FORMAT_RGB;
  picture.width = image.width;
  picture.height = image.height;
  picture.pixels.resize(picture.width * picture.height);
  EXPECT_NE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr), 0)
      << image.message;
  return picture;
}

Picture Draw(const std::vector<float>& values, const Shape& shape,
             const HeatMapPngOptions& options = {}) {
  absl::StatusOr<std::string> png = HeatMapPng(values, shape, options);
  EXPECT_TRUE(png.ok()) << png.status();
  return png.ok() ? Decode(*png) : Picture();
}

std::vector<float> Counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

TEST(HeatMapPngTest, DrawsEveryElementAsASquare) {
  const Picture picture = Draw({0, 1, 2, 4, kNan, -kInf}, {2, 3});
  ASSERT_EQ(picture.matrix_width(), 3 * 32);
  ASSERT_EQ(picture.height, 2 * 32);
  const Color expected[2][3] = {{HeatMapColor(0), HeatMapColor(0.25), HeatMapColor(0.5)},
                                {HeatMapColor(1), kNothingFinite, kNothingFinite}};
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.matrix_width(); ++x) {
      ASSERT_EQ(picture.At(y, x), expected[y / 32][x / 32]) << y << ' ' << x;
    }
  }
}

TEST(HeatMapPngTest, ABarGoesFromTheLargestToTheSmallest) {
  const Picture picture = Draw({0, 1, 2, 3}, {2, 2});
  EXPECT_EQ(picture.At(0, picture.matrix_width()), kWhite);
  EXPECT_EQ(picture.At(0, picture.width - 1), HeatMapColor(1));
  EXPECT_EQ(picture.At(picture.height - 1, picture.width - kBarWidth), HeatMapColor(0));
}

TEST(HeatMapPngTest, ReducesLargeMatricesByTheMean) {
  HeatMapPngOptions options;
  options.width_max = 2;
  options.height_max = 4;
  options.side_min = 1;
  const Picture picture = Draw({0, 2, kNan, 4, 4, 4}, {1, 6}, options);
  ASSERT_EQ(picture.matrix_width(), 2);
  EXPECT_EQ(picture.At(0, 0), HeatMapColor(0.25));
  EXPECT_EQ(picture.At(0, 1), HeatMapColor(1));
}

TEST(HeatMapPngTest, StaysWithinItsSize) {
  for (const int64_t rows : {1, 37, 1201, 5000}) {
    for (const int64_t columns : {1, 700, 1601, 9000}) {
      const Picture picture = Draw(std::vector<float>(rows * columns, 1), {rows, columns});
      EXPECT_LE(picture.matrix_width(), 1600);
      EXPECT_LE(picture.height, 1200);
      // Nothing is too thin to be seen.
      EXPECT_GE(picture.matrix_width(), std::min<int64_t>(48, 32 * columns));
      EXPECT_GE(picture.height, 48 - 16);
    }
  }
}

TEST(HeatMapPngTest, TilesMatricesBelowEachOtherOnOneScale) {
  const Picture picture = Draw(Counting(8), {2, 1, 2, 2});
  const int64_t side = picture.matrix_width();
  ASSERT_EQ(picture.height, 2 * side + kGap);
  EXPECT_EQ(picture.At(0, 0), HeatMapColor(0));
  EXPECT_EQ(picture.At(side - 1, side - 1), HeatMapColor(3.0 / 7));
  for (int64_t y = side; y < side + kGap; ++y) EXPECT_EQ(picture.At(y, 0), kWhite);
  EXPECT_EQ(picture.At(side + kGap, 0), HeatMapColor(4.0 / 7));
  EXPECT_EQ(picture.At(picture.height - 1, side - 1), HeatMapColor(1));
}

TEST(HeatMapPngTest, DrawsManyMatricesAsOne) {
  const Picture picture = Draw(Counting(1000 * 3 * 2), {1000, 3, 2});
  EXPECT_LE(picture.height, 1200);
  EXPECT_EQ(picture.At(0, 0), HeatMapColor(0));
  for (int64_t y = 0; y < picture.height; ++y) ASSERT_FALSE(picture.At(y, 0) == kWhite) << y;
}

TEST(HeatMapPngTest, CopesWithNothingToScale) {
  EXPECT_EQ(Draw({kNan, -kInf}, {1, 2}).At(0, 0), kNothingFinite);
  EXPECT_EQ(Draw({3, 3}, {2, 1}).At(0, 0), HeatMapColor(0.5));
  EXPECT_EQ(Draw({3}, {}).At(0, 0), HeatMapColor(0.5));
  EXPECT_EQ(Draw({1, 2}, {2}).At(0, 0), HeatMapColor(0));
}

TEST(HeatMapPngTest, RefusesWhatHasNoElements) {
  for (const Shape& shape : {Shape{0, 5}, Shape{3, 0}, Shape{0, 2, 3, 4}}) {
    const absl::Status status = HeatMapPng({}, shape).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), ShapeString(shape))) << status;
  }
}

class WriteHeatMapPngTest : public testing::Test {
 protected:
  WriteHeatMapPngTest() {
    std::string pattern = absl::StrCat(testing::TempDir(), "/heat_map_png_test.XXXXXX");
    directory_ = mkdtemp(pattern.data());
  }
  ~WriteHeatMapPngTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

TEST_F(WriteHeatMapPngTest, WritesTheWholePictureAndNothingElse) {
  const std::string path = absl::StrCat(directory_, "/map.png");
  std::ofstream(path) << std::string(100'000, '.');
  ASSERT_TRUE(WriteHeatMapPng(path, {1, 2}, {1, 2}).ok());
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(bytes, HeatMapPng({1, 2}, {1, 2}).value());
  const std::filesystem::directory_iterator entries(directory_);
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(WriteHeatMapPngTest, LeavesNothingWhereItFails) {
  const std::string path = absl::StrCat(directory_, "/map.png");
  const absl::Status empty = WriteHeatMapPng(path, {}, {0, 2});
  EXPECT_TRUE(absl::StartsWith(empty.message(), absl::StrCat(path, ": "))) << empty;
  const absl::Status full = WriteHeatMapPng("/dev/full", {1}, {1, 1});
  EXPECT_TRUE(absl::StartsWith(full.message(), "/dev/full: cannot write")) << full;
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

}  // namespace
}  // namespace qkserve
