#include "tools/qkctl/picture/color_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace qkserve {
namespace {

// Colour `i` of `shown` colours stands for some of `source` rows or columns. Returns the first of
// these. `shown` is small.
int64_t First(int64_t i, int64_t source, int64_t shown) {
  return source / shown * i + source % shown * i / shown;
}

// Returns the index behind the last of these. There is at least one.
int64_t End(int64_t i, int64_t source, int64_t shown) {
  return std::max(First(i, source, shown) + 1, First(i + 1, source, shown));
}

}  // namespace

// The colour map viridis by Smith and van der Walt, at nine of its points.
Color HeatMapColor(double position) {
  static constexpr std::array<Color, 9> kPoints = {{{68, 1, 84},
                                                    {71, 45, 123},
                                                    {59, 82, 139},
                                                    {44, 114, 142},
                                                    {33, 145, 140},
                                                    {40, 174, 128},
                                                    {94, 201, 98},
                                                    {173, 220, 48},
                                                    {253, 231, 37}}};
  const double scaled = std::clamp(position, 0.0, 1.0) * (kPoints.size() - 1);
  const size_t below = std::min(static_cast<size_t>(scaled), kPoints.size() - 2);
  const double part = scaled - static_cast<double>(below);
  const auto mix = [part](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + part * (to - from)));
  };
  const Color& from = kPoints[below];
  const Color& to = kPoints[below + 1];
  return {mix(from.red, to.red), mix(from.green, to.green), mix(from.blue, to.blue)};
}

ValueRange FiniteRange(absl::Span<const float> values) {
  ValueRange range;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    range.min = std::min(range.min, value);
    range.max = std::max(range.max, value);
  }
  return range;
}

MatrixSizes MatrixSizesOf(absl::Span<const int64_t> shape) {
  const size_t rank = shape.size();
  return {.rows = rank >= 2 ? shape[rank - 2] : 1, .columns = rank >= 1 ? shape[rank - 1] : 1};
}

Color ColorGrid::At(int64_t y, int64_t x) const {
  const int64_t row_end = End(y, matrix_.rows, height_);
  const int64_t column_end = End(x, matrix_.columns, width_);
  double sum = 0;
  int64_t count = 0;
  for (int64_t row = First(y, matrix_.rows, height_); row < row_end; ++row) {
    for (int64_t column = First(x, matrix_.columns, width_); column < column_end; ++column) {
      const float value = values_[row * matrix_.columns + column];
      if (!std::isfinite(value)) continue;
      sum += value;
      ++count;
    }
  }
  if (count == 0) return kNothingFinite;
  return HeatMapColor(range_.Position(sum / static_cast<double>(count)));
}

}  // namespace qkserve
