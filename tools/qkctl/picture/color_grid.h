#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace qkserve {

// Colours and layout of heat maps, on a terminal or in a picture.

struct Color {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  bool operator==(const Color&) const = default;
};

// Returns the colour of a heat map at `position` from 0 to 1 (clamped). Lightness rises evenly, so
// the order of two values shows on any screen and to any eye.
Color HeatMapColor(double position);

// The colours of values that are not finite. HeatMapColor never returns them.
inline constexpr Color kNanColor{225, 35, 75};
inline constexpr Color kMinusInfinityColor{176, 176, 176};
inline constexpr Color kPlusInfinityColor{255, 255, 255};

struct ValueRange {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();

  bool empty() const { return min > max; }

  // Widens the range to include the value if it is finite.
  void Add(float value);

  // Returns the position of a value from 0 to 1. If all values are the same, it is 0.5.
  double Position(double value) const {
    return max > min ? (value - min) / (static_cast<double>(max) - min) : 0.5;
  }
};

// Returns the range of the finite values. The range is empty if there are none.
ValueRange FiniteRange(absl::Span<const float> values);

// Returns the colour of a value in a heat map over `range`.
Color ColorOf(float value, const ValueRange& range);

// A kind of values that are not finite: name, colour and count, for a legend. CountNotFinite leaves
// out kinds that do not occur.
struct NotFinite {
  std::string name;  // "nan", "-inf", "inf"
  Color color;
  int64_t count = 0;
};
std::vector<NotFinite> CountNotFinite(absl::Span<const float> values);

// The sizes of each matrix of a tensor. A tensor has one matrix for each leading index. A tensor of
// rank 1 is one row, and a tensor of rank 0 is one element.
struct MatrixSizes {
  int64_t rows = 1;
  int64_t columns = 1;
};
MatrixSizes MatrixSizesOf(absl::Span<const int64_t> shape);

// Returns the index of a matrix along the leading dimensions, such as "[0, 1]".
std::string LeadingIndex(int64_t matrix, absl::Span<const int64_t> leading);

// The labels of a heat map.
struct HeatMapLabels {
  std::string title;             // what the values are; may be ""
  std::string down = "queries";  // what the rows are
  std::string across = "keys";   // what the columns are
};

// Returns round indices below `count` for the ticks of an axis, such as 0, 20, 40. They are at
// least `distance` apart.
std::vector<int64_t> IndexTicks(int64_t count, double distance);

// A matrix as `height` x `width` colours. Elements are enlarged or reduced in each direction. A
// colour that stands for several elements shows the mean of the finite ones. If none is finite, it
// shows NaN before infinity, and infinity before -infinity. The matrix must have rows and columns.
class ColorGrid {
 public:
  ColorGrid(absl::Span<const float> values, MatrixSizes matrix, int64_t height, int64_t width);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }

  // Returns the most elements that a colour stands for, in each direction. 1 if nothing is reduced.
  MatrixSizes reduction() const;

  // Returns the range of the values that are shown. If a colour stands for several elements, these
  // are means, and single elements may lie far outside the range.
  const ValueRange& range() const { return range_; }

  // Returns the value that is shown in row `y` and column `x`, counted from the top left.
  float At(int64_t y, int64_t x) const {
    return cells_[y * rows_ / height_ * columns_ + x * columns_ / width_];
  }

 private:
  const MatrixSizes matrix_;
  const int64_t height_;
  const int64_t width_;
  const int64_t rows_;  // of cells; a cell is an element or stands for several
  const int64_t columns_;
  std::vector<float> cells_;
  ValueRange range_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_
