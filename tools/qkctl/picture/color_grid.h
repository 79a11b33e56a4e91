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

// The colour of a heat map at `position` from 0 to 1 (clamped). Lightness rises evenly, so that the
// order of two values shows on any screen and to any eye.
Color HeatMapColor(double position);

// The colours of what is not finite. HeatMapColor never returns them.
inline constexpr Color kNanColor{225, 35, 75};
inline constexpr Color kMinusInfinityColor{176, 176, 176};
inline constexpr Color kPlusInfinityColor{255, 255, 255};

struct ValueRange {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();

  bool empty() const { return min > max; }

  // Widens the range to the value, if it is finite.
  void Add(float value);

  // The position of a value from 0 to 1. If all values are the same, it is in the middle.
  double Position(double value) const {
    return max > min ? (value - min) / (static_cast<double>(max) - min) : 0.5;
  }
};

// The range of the finite values; empty if there are none.
ValueRange FiniteRange(absl::Span<const float> values);

// The colour of a value in a heat map over `range`.
Color ColorOf(float value, const ValueRange& range);

// The kinds of values that are not finite: name, colour and count, for a legend. Kinds that do not
// occur are left out.
struct NotFinite {
  std::string name;  // "nan", "-inf", "inf"
  Color color;
  int64_t count = 0;
};
std::vector<NotFinite> CountNotFinite(absl::Span<const float> values);

// The sizes of a tensor's matrices, of which there is one for each leading index. A tensor of rank
// 1 is one row, of rank 0 one element.
struct MatrixSizes {
  int64_t rows = 1;
  int64_t columns = 1;
};
MatrixSizes MatrixSizesOf(absl::Span<const int64_t> shape);

// "[0, 1]": the index of a matrix along the leading dimensions.
std::string LeadingIndex(int64_t matrix, absl::Span<const int64_t> leading);

// The words of a heat map.
struct HeatMapLabels {
  std::string title;             // what the values are; may be ""
  std::string down = "queries";  // what the rows are
  std::string across = "keys";   // what the columns are
};

// Round indices below `count` for the ticks of an axis: 0, 20, 40. They are at least `distance`
// apart.
std::vector<int64_t> IndexTicks(int64_t count, double distance);

// A matrix as `height` x `width` colours. In each direction elements are enlarged or reduced. If a
// colour stands for several elements, it shows the mean of the finite ones. If none is finite, it
// shows NaN before infinity, and infinity before -infinity. Rows and columns must not be 0.
class ColorGrid {
 public:
  ColorGrid(absl::Span<const float> values, MatrixSizes matrix, int64_t height, int64_t width);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }

  // The most elements that a colour stands for, in each direction. 1 if nothing is reduced.
  MatrixSizes reduction() const;

  // The range of what is shown: of means, if a colour stands for several elements. Single elements
  // may lie far outside it.
  const ValueRange& range() const { return range_; }

  // The value that is shown in row `y` and column `x`, counted from the top left.
  float At(int64_t y, int64_t x) const {
    return cells_[y * rows_ / height_ * columns_ + x * columns_ / width_];
  }

 private:
  const MatrixSizes matrix_;
  const int64_t height_;
  const int64_t width_;
  const int64_t rows_;  // of cells: elements, or what was made of several
  const int64_t columns_;
  std::vector<float> cells_;
  ValueRange range_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_COLOR_GRID_H_
