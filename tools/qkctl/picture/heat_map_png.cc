#include "tools/qkctl/picture/heat_map_png.h"

#include <png.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/output/file_output.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {
namespace {

constexpr Color kWhite{255, 255, 255};
constexpr int64_t kGap = 3;
constexpr int64_t kBarGap = 8;
constexpr int64_t kBarWidth = 16;

// The fewest rows of pixels of a matrix. Fewer are no picture.
constexpr int64_t kMatrixHeightMin = 4;

absl::StatusOr<std::string> Png(const std::vector<Color>& pixels, int64_t width) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(static_cast<int64_t>(pixels.size()) / width);
  image.format = PNG_FORMAT_RGB;
  static_assert(sizeof(Color) == 3, "libpng takes the pixels as they are");
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0, pixels.data(),
                                /*row_stride=*/0, /*colormap=*/nullptr) == 0) {
    return absl::ResourceExhaustedError(absl::StrCat("libpng: ", image.message));
  }
  bytes.resize(size);
  return bytes;
}

// The matrices of a tensor and the pixels of each.
struct Layout {
  int64_t matrices = 1;
  MatrixSizes matrix;
  int64_t height = 0;
  int64_t width = 0;

  int64_t total_height() const { return matrices * (height + kGap) - kGap; }
};

// The pixels that `count` elements take in one direction. An element takes `enlargement` pixels, or
// more if the strip would be thinner than `side_min`. If that exceeds `pixels_max`, the elements
// are reduced.
int64_t Pixels(int64_t count, int64_t enlargement, int64_t pixels_max, int64_t side_min) {
  if (count >= pixels_max) return pixels_max;
  const int64_t stretched = std::min((side_min + count - 1) / count, pixels_max / count);
  return count * std::max(enlargement, stretched);
}

Layout LayOut(absl::Span<const int64_t> shape, int64_t elements, const HeatMapPngOptions& options) {
  Layout layout;
  layout.matrix = MatrixSizesOf(shape);
  layout.matrices = elements / (layout.matrix.rows * layout.matrix.columns);
  int64_t height_max = (options.height_max + kGap) / layout.matrices - kGap;
  if (height_max < kMatrixHeightMin) {
    layout.matrix.rows *= layout.matrices;
    layout.matrices = 1;
    height_max = options.height_max;
  }
  const int64_t enlargement = std::clamp<int64_t>(
      std::min(options.width_max / layout.matrix.columns, height_max / layout.matrix.rows), 1,
      options.enlargement_max);
  layout.height = Pixels(layout.matrix.rows, enlargement, height_max, options.side_min);
  layout.width = Pixels(layout.matrix.columns, enlargement, options.width_max, options.side_min);
  return layout;
}

}  // namespace

absl::StatusOr<std::string> HeatMapPng(absl::Span<const float> values,
                                       absl::Span<const int64_t> shape,
                                       const HeatMapPngOptions& options) {
  if (values.empty()) {
    return InvalidArgument("a picture of shape ", ShapeString(shape), " would be empty");
  }
  const Layout layout = LayOut(shape, static_cast<int64_t>(values.size()), options);
  const int64_t matrix_elements = layout.matrix.rows * layout.matrix.columns;
  const ValueRange range = FiniteRange(values);
  const int64_t bar = layout.width + kBarGap;
  const int64_t width = bar + kBarWidth;
  const int64_t height = layout.total_height();
  std::vector<Color> pixels(static_cast<size_t>(width * height), kWhite);
  for (int64_t i = 0; i < layout.matrices; ++i) {
    const ColorGrid grid(values.subspan(i * matrix_elements, matrix_elements), layout.matrix, range,
                         layout.height, layout.width);
    for (int64_t y = 0; y < grid.height(); ++y) {
      Color* const row = &pixels[(i * (layout.height + kGap) + y) * width];
      for (int64_t x = 0; x < grid.width(); ++x) row[x] = grid.At(y, x);
    }
  }
  const auto last = static_cast<double>(std::max<int64_t>(1, height - 1));
  for (int64_t y = 0; y < height; ++y) {
    std::fill_n(&pixels[y * width + bar], kBarWidth,
                HeatMapColor(1 - static_cast<double>(y) / last));
  }
  return Png(pixels, width);
}

absl::Status WriteHeatMapPng(const std::string& path, absl::Span<const float> values,
                             absl::Span<const int64_t> shape) {
  absl::StatusOr<std::string> png = HeatMapPng(values, shape);
  if (!png.ok()) {
    return absl::Status(png.status().code(), absl::StrCat(path, ": ", png.status().message()));
  }
  return WriteOutput(path, {absl::string_view(*png)});
}

}  // namespace qkserve
