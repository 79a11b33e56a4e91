#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_

#include <cstdint>
#include <limits>

#include "absl/types/span.h"

namespace qkserve {

// Colours and layout of heat maps, on a terminal or in a picture.

struct Color {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  bool operator==(const Color&) const = default;
};

// The colour of a heat map at `position` from 0 to 1 (clamped). Lightness rises evenly, so that the
// order of two values shows on any screen and to any eye.
Color HeatMapColor(double position);

// The colour of NaN and infinities: grey, which HeatMapColor never returns.
inline constexpr Color kNothingFinite{96, 96, 96};

struct ValueRange {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();

  bool empty() const { return min > max; }

  // The position of a value from 0 to 1. If all values are the same, it is in the middle.
  double Position(double value) const {
    return max > min ? (value - min) / (static_cast<double>(max) - min) : 0.5;
  }
};

// The range of the finite values; empty if there are none.
ValueRange FiniteRange(absl::Span<const float> values);

// The sizes of a tensor's matrices, of which there is one for each leading index. A tensor of rank
// 1 is one row, of rank 0 one element.
struct MatrixSizes {
  int64_t rows = 1;
  int64_t columns = 1;
};
MatrixSizes MatrixSizesOf(absl::Span<const int64_t> shape);

// A matrix as `height` x `width` colours. In each direction elements are enlarged or reduced. If a
// colour stands for several elements, it shows the mean of the finite ones. Rows and columns must
// not be 0.
class ColorGrid {
 public:
  ColorGrid(absl::Span<const float> values, MatrixSizes matrix, const ValueRange& range,
            int64_t height, int64_t width)
      : values_(values), matrix_(matrix), range_(range), height_(height), width_(width) {}

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }

  // The colour in row `y` and column `x`, counted from the top left.
  Color At(int64_t y, int64_t x) const;

 private:
  const absl::Span<const float> values_;
  const MatrixSizes matrix_;
  const ValueRange range_;
  const int64_t height_;
  const int64_t width_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_
