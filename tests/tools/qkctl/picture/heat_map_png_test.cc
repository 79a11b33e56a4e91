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
constexpr Color kLines{140, 149, 159};  // of frames and ticks

// The rectangle inside a frame.
struct Frame {
  int64_t left = 0, top = 0, width = 0, height = 0;
};

struct Picture {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<Color> pixels;

  Color At(int64_t y, int64_t x) const { return pixels[y * width + x]; }

  // Returns the frames that begin in the first line that has one. From left to right, these are the
  // matrices and the colour bar.
  std::vector<Frame> Frames() const;

  // Returns the pixel in `frame`, counted from its top left.
  Color In(const Frame& frame, int64_t y, int64_t x) const {
    return At(frame.top + y, frame.left + x);
  }

  // True if something is drawn in [top, bottom) x [left, right).
  bool HasInk(int64_t top, int64_t bottom, int64_t left, int64_t right) const {
    for (int64_t y = top; y < bottom; ++y) {
      for (int64_t x = left; x < right; ++x) {
        if (At(y, x) != kWhite) return true;
      }
    }
    return false;
  }
};

std::vector<Frame> Picture::Frames() const {
  std::vector<Frame> frames;
  for (int64_t y = 0; y < height && frames.empty(); ++y) {
    for (int64_t x = 0; x < width; ++x) {
      int64_t end = x;
      while (end < width && At(y, end) == kLines) ++end;
      int64_t bottom = y;
      while (bottom < height && At(bottom, x) == kLines) ++bottom;
      if (end - x > 16 && bottom - y > 16) {
        frames.push_back({x + 1, y + 1, end - x - 2, bottom - y - 2});
      }
      x = std::max(x, end);
    }
  }
  return frames;
}

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
  absl::StatusOr<std::string> png = HeatMapPng(values, shape, {"scores"}, options);
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
  const Frame frame = picture.Frames().at(0);
  ASSERT_EQ(frame.width, 3 * 64);
  ASSERT_EQ(frame.height, 2 * 64);
  const Color expected[2][3] = {{HeatMapColor(0), HeatMapColor(0.25), HeatMapColor(0.5)},
                                {HeatMapColor(1), kNanColor, kMinusInfinityColor}};
  for (int64_t y = 0; y < frame.height; ++y) {
    // The lines in the middle of a square are skipped, because the value is drawn there.
    if (y % 64 >= 20 && y % 64 < 44) continue;
    for (int64_t x = 0; x < frame.width; ++x) {
      ASSERT_EQ(picture.In(frame, y, x), expected[y / 64][x / 64]) << y << ' ' << x;
    }
  }
  for (int64_t i = 0; i < 6; ++i) {
    bool has_value = false;
    for (int64_t x = 0; x < 64; ++x) {
      const Color color = picture.In(frame, i / 3 * 64 + 32, i % 3 * 64 + x);
      has_value |= color != expected[i / 3][i % 3];
    }
    EXPECT_TRUE(has_value) << i;
  }
}

TEST(HeatMapPngTest, HasTitleAxesNumbersAndLegend) {
  const Picture picture = Draw({0, 1, 2, kNan}, {2, 2});
  const std::vector<Frame> frames = picture.Frames();
  ASSERT_EQ(frames.size(), 2U);
  const Frame& matrix = frames[0];
  const Frame& bar = frames[1];
  const int64_t bottom = matrix.top + matrix.height + 1;
  EXPECT_TRUE(picture.HasInk(0, matrix.top - 4, 0, picture.width)) << "title";
  EXPECT_TRUE(picture.HasInk(matrix.top, bottom, 0, 32)) << "what the rows are";
  EXPECT_TRUE(picture.HasInk(matrix.top, bottom, 36, matrix.left - 7)) << "numbers of rows";
  EXPECT_TRUE(picture.HasInk(bottom + 6, bottom + 24, matrix.left, bar.left)) << "columns";
  EXPECT_TRUE(picture.HasInk(bottom + 30, bottom + 50, matrix.left, bar.left)) << "their name";
  EXPECT_TRUE(picture.HasInk(bottom + 55, picture.height, matrix.left, bar.left)) << "legend";
  EXPECT_TRUE(picture.HasInk(bar.top, bottom, bar.left + bar.width + 7, picture.width))
      << "numbers of the colour bar";
  // Nothing is cut off at the edges.
  EXPECT_FALSE(picture.HasInk(0, 8, 0, picture.width));
  EXPECT_FALSE(picture.HasInk(picture.height - 8, picture.height, 0, picture.width));
  EXPECT_FALSE(picture.HasInk(0, picture.height, 0, 8));
  EXPECT_FALSE(picture.HasInk(0, picture.height, picture.width - 8, picture.width));
}

TEST(HeatMapPngTest, ZeroHasNoSign) {
  EXPECT_EQ(Draw({-0.0F, 1}, {1, 2}).pixels, Draw({0, 1}, {1, 2}).pixels);
}

TEST(HeatMapPngTest, ABarGoesFromTheLargestToTheSmallest) {
  const Picture picture = Draw({0, 1, 2, 3}, {2, 2});
  const Frame bar = picture.Frames().at(1);
  EXPECT_EQ(picture.In(bar, 0, 0), HeatMapColor(1));
  EXPECT_EQ(picture.In(bar, bar.height - 1, bar.width - 1), HeatMapColor(0));
}

TEST(HeatMapPngTest, ReducesLargeMatricesByTheMeanAndSaysSo) {
  HeatMapPngOptions options;
  options.width_max = 30;
  options.height_max = 48;
  std::vector<float> values(48 * 60, 0);
  values[1] = 2;  // one of the two values of a pixel
  values[2] = 4;  // both values of the next pixel
  values[3] = 4;
  values[4] = kNan;
  const Picture picture = Draw(values, {48, 60}, options);
  const Frame frame = picture.Frames().at(0);
  ASSERT_EQ(frame.width, 30);
  EXPECT_EQ(picture.In(frame, 0, 0), HeatMapColor(0.25));
  EXPECT_EQ(picture.In(frame, 0, 1), HeatMapColor(1));
  EXPECT_EQ(picture.In(frame, 0, 2), HeatMapColor(0));
  const int64_t right = frame.left + 600;  // beyond the legend of the NaN
  EXPECT_GT(picture.width, frame.left + 300);
  EXPECT_TRUE(picture.HasInk(picture.height - 36, picture.height - 8, frame.left + 150,
                             std::min(right, picture.width)));
}

TEST(HeatMapPngTest, StaysWithinItsSize) {
  for (const int64_t rows : {1, 37, 1201, 5000}) {
    for (const int64_t columns : {1, 700, 1601, 9000}) {
      const Picture picture = Draw(std::vector<float>(rows * columns, 1), {rows, columns});
      const Frame frame = picture.Frames().at(0);
      EXPECT_LE(frame.width, 1600);
      EXPECT_LE(frame.height, 1200);
      EXPECT_LE(picture.width, 1600 + 400);
      EXPECT_LE(picture.height, 1200 + 200);
      // Nothing is too thin to be seen.
      EXPECT_GE(frame.width, 64);
      EXPECT_GE(frame.height, 64);
    }
  }
}

TEST(HeatMapPngTest, TilesMatricesOnOneScale) {
  const Picture picture = Draw(Counting(8), {2, 1, 2, 2});
  const std::vector<Frame> frames = picture.Frames();
  ASSERT_EQ(frames.size(), 3U);  // two matrices beside each other, and the bar
  EXPECT_EQ(picture.In(frames[0], 0, 0), HeatMapColor(0));
  EXPECT_EQ(picture.In(frames[0], frames[0].height - 1, frames[0].width - 1),
            HeatMapColor(3.0 / 7));
  EXPECT_EQ(picture.In(frames[1], 0, 0), HeatMapColor(4.0 / 7));
  EXPECT_EQ(picture.In(frames[1], frames[1].height - 1, frames[1].width - 1), HeatMapColor(1));
  EXPECT_TRUE(
      picture.HasInk(frames[1].top - 18, frames[1].top - 3, frames[1].left, frames[1].left + 30))
      << "leading index";
}

TEST(HeatMapPngTest, DrawsManyMatricesAsOne) {
  const Picture picture = Draw(Counting(9000 * 3 * 2), {9000, 3, 2});
  const Frame frame = picture.Frames().at(0);
  EXPECT_LE(frame.height, 1200);
  EXPECT_EQ(picture.In(frame, 0, 0), HeatMapColor(0));
  for (int64_t y = 0; y < frame.height; ++y) ASSERT_NE(picture.In(frame, y, 0), kWhite) << y;
}

TEST(HeatMapPngTest, CopesWithNothingToScale) {
  const auto first = [](const std::vector<float>& values, const Shape& shape) {
    const Picture picture = Draw(values, shape);
    return picture.In(picture.Frames().at(0), 0, 0);
  };
  EXPECT_EQ(first({kNan, -kInf}, {1, 2}), kNanColor);
  EXPECT_EQ(first({3, 3}, {2, 1}), HeatMapColor(0.5));
  EXPECT_EQ(first({3}, {}), HeatMapColor(0.5));
  EXPECT_EQ(first({1, 2}, {2}), HeatMapColor(0));
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
