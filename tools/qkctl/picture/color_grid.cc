#include "tools/qkctl/picture/color_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "base/round_step.h"
#include "qkserve/tensor.h"

namespace qkserve {
namespace {

// Returns the first row or column that colour `i` stands for. `source` rows or columns are shown as
// `shown` colours. The square of `shown` must fit into 64 bits.
int64_t First(int64_t i, int64_t source, int64_t shown) {
  return source / shown * i + source % shown * i / shown;
}

// Returns the index after the last row or column of colour `i`. Each colour has at least one row or
// column.
int64_t End(int64_t i, int64_t source, int64_t shown) {
  return std::max(First(i, source, shown) + 1, First(i + 1, source, shown));
}

// Returns the value that one colour shows for the elements in [row, row_end) x [column,
// column_end).
float CellOf(absl::Span<const float> values, int64_t columns, int64_t row, int64_t row_end,
             int64_t column, int64_t column_end) {
  double sum = 0;
  int64_t count = 0;
  float other = -std::numeric_limits<float>::infinity();
  for (; row < row_end; ++row) {
    for (int64_t x = column; x < column_end; ++x) {
      const float value = values[row * columns + x];
      if (std::isfinite(value)) {
        sum += value;
        ++count;
      } else if (!std::isnan(other) && !(value < 0)) {
        other = value;
      }
    }
  }
  return count == 0 ? other : static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace

// Uses nine points of the colour map viridis by Smith and van der Walt.
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

void ValueRange::Add(float value) {
  if (!std::isfinite(value)) return;
  min = std::min(min, value);
  max = std::max(max, value);
}

ValueRange FiniteRange(absl::Span<const float> values) {
  ValueRange range;
  for (const float value : values) range.Add(value);
  return range;
}

Color ColorOf(float value, const ValueRange& range) {
  if (std::isnan(value)) return kNanColor;
  if (std::isinf(value)) return value < 0 ? kMinusInfinityColor : kPlusInfinityColor;
  return HeatMapColor(range.Position(value));
}

std::vector<NotFinite> CountNotFinite(absl::Span<const float> values) {
  std::vector<NotFinite> kinds = {
      {"-inf", kMinusInfinityColor}, {"inf", kPlusInfinityColor}, {"nan", kNanColor}};
  for (const float value : values) {
    if (std::isfinite(value)) continue;
    ++kinds[std::isnan(value) ? 2 : value < 0 ? 0 : 1].count;
  }
  std::erase_if(kinds, [](const NotFinite& kind) { return kind.count == 0; });
  return kinds;
}

MatrixSizes MatrixSizesOf(absl::Span<const int64_t> shape) {
  const size_t rank = shape.size();
  return {.rows = rank >= 2 ? shape[rank - 2] : 1, .columns = rank >= 1 ? shape[rank - 1] : 1};
}

std::string LeadingIndex(int64_t matrix, absl::Span<const int64_t> leading) {
  Shape index(leading.size());
  for (size_t i = leading.size(); i-- > 0;) {
    index[i] = matrix % leading[i];
    matrix /= leading[i];
  }
  return ShapeString(index);
}

std::vector<int64_t> IndexTicks(int64_t count, double distance) {
  const auto step = static_cast<int64_t>(RoundStep(std::max(1.0, distance)));
  std::vector<int64_t> ticks;
  for (int64_t i = 0; i < count; i += step) ticks.push_back(i);
  return ticks;
}

ColorGrid::ColorGrid(absl::Span<const float> values, MatrixSizes matrix, int64_t height,
                     int64_t width)
    : matrix_(matrix),
      height_(height),
      width_(width),
      rows_(std::min(matrix.rows, height)),
      columns_(std::min(matrix.columns, width)) {
  cells_.reserve(rows_ * columns_);
  for (int64_t y = 0; y < rows_; ++y) {
    for (int64_t x = 0; x < columns_; ++x) {
      cells_.push_back(CellOf(values, matrix.columns, First(y, matrix.rows, rows_),
                              End(y, matrix.rows, rows_), First(x, matrix.columns, columns_),
                              End(x, matrix.columns, columns_)));
    }
  }
  range_ = FiniteRange(cells_);
}

MatrixSizes ColorGrid::reduction() const {
  return {(matrix_.rows + rows_ - 1) / rows_, (matrix_.columns + columns_ - 1) / columns_};
}

}  // namespace qkserve
