#include "client/qkctl/terminal_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "core/tensor.h"

namespace qkserve {
namespace {

// --- What is shown ------------------------------------------------------------------------------

// The first and the last of `count` indices, `shown_max` together, and nullopt where "..." stands.
std::vector<std::optional<int64_t>> ShownIndices(int64_t count, int64_t shown_max) {
  shown_max = std::max<int64_t>(2, shown_max);
  std::vector<std::optional<int64_t>> shown;
  const int64_t head = count <= shown_max ? count : (shown_max + 1) / 2;
  const int64_t tail = count <= shown_max ? 0 : shown_max / 2;
  for (int64_t i = 0; i < head; ++i) shown.emplace_back(i);
  if (head + tail < count) shown.emplace_back(std::nullopt);
  for (int64_t i = count - tail; i < count; ++i) shown.emplace_back(i);
  return shown;
}

// "[0, 1]": the index of a matrix along the leading dimensions.
std::string LeadingIndex(int64_t matrix, absl::Span<const int64_t> leading) {
  Shape index(leading.size());
  for (size_t i = leading.size(); i-- > 0;) {
    index[i] = matrix % leading[i];
    matrix /= leading[i];
  }
  return ShapeString(index);
}

using RenderMatrix = std::function<std::string(absl::Span<const float>, int64_t, int64_t)>;

// Every matrix of a tensor below its leading index.
std::string ForEachMatrix(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          int64_t matrices_max, const RenderMatrix& render) {
  const size_t rank = shape.size();
  const int64_t columns = rank >= 1 ? shape[rank - 1] : 1;
  const int64_t rows = rank >= 2 ? shape[rank - 2] : 1;
  if (rank <= 2) return render(values, rows, columns);
  if (values.empty()) return absl::StrCat("[] of shape ", ShapeString(shape), "\n");
  const absl::Span<const int64_t> leading = shape.first(rank - 2);
  std::string text;
  for (const std::optional<int64_t> matrix :
       ShownIndices(ElementCount(leading).value_or(0), matrices_max)) {
    if (!matrix.has_value()) {
      absl::StrAppend(&text, "...\n");
      continue;
    }
    absl::StrAppend(
        &text, LeadingIndex(*matrix, leading), "\n",
        render(values.subspan(*matrix * rows * columns, rows * columns), rows, columns));
  }
  return text;
}

// --- Text ---------------------------------------------------------------------------------------

constexpr absl::string_view kGap = "...";

// Numbers as wide as the widest.
class NumberFormat {
 public:
  NumberFormat(const std::vector<float>& shown, int precision) : precision_(precision) {
    float largest = 0;
    for (const float value : shown) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
    scientific_ = largest >= 1e8F || (largest > 0 && largest < 1e-3F);
    dropped_ = scientific_ ? 0 : static_cast<size_t>(std::max(0, precision - 1));
    for (const float value : shown) {
      if (!std::isfinite(value)) continue;
      const std::string text = Full(value);
      dropped_ = std::min(dropped_, text.size() - 1 - text.find_last_not_of('0'));
    }
    for (const float value : shown) width_ = std::max(width_, Trimmed(value).size());
  }

  std::string operator()(float value) const { return Padded(Trimmed(value)); }
  std::string Padded(absl::string_view text) const {
    return absl::StrCat(std::string(width_ - std::min(width_, text.size()), ' '), text);
  }

 private:
  std::string Full(float value) const {
    return scientific_ ? absl::StrFormat("%.*e", precision_, value)
                       : absl::StrFormat("%.*f", precision_, value);
  }

  std::string Trimmed(float value) const {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    std::string text = Full(value);
    text.resize(text.size() - dropped_);
    return text;
  }

  const int precision_;
  bool scientific_ = false;
  size_t dropped_ = 0;  // trailing zeros that all have; one digit after the point stays
  size_t width_ = 0;
};

// --- Colours ------------------------------------------------------------------------------------

constexpr Color kNothingFinite{96, 96, 96};
constexpr absl::string_view kResetColors = "\x1b[0m";
constexpr absl::string_view kUpperHalfBlock = "\u2580";

std::string Foreground(Color c) {
  return absl::StrFormat("\x1b[38;2;%d;%d;%dm", c.red, c.green, c.blue);
}

std::string Background(Color c) {
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm", c.red, c.green, c.blue);
}

struct Range {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();

  bool empty() const { return min > max; }

  // From 0 to 1; the middle where all values are the same.
  double Position(double value) const {
    return max > min ? (value - min) / (static_cast<double>(max) - min) : 0.5;
  }
};

Range FiniteRange(absl::Span<const float> values) {
  Range range;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    range.min = std::min(range.min, value);
    range.max = std::max(range.max, value);
  }
  return range;
}

// The colours of one matrix, `height` times `width` of them.
class ColorGrid {
 public:
  ColorGrid(absl::Span<const float> values, int64_t rows, int64_t columns, const Range& range,
            const HeatMapOptions& options)
      : values_(values), rows_(rows), columns_(columns), range_(range) {
    const int64_t width_max = std::max<int64_t>(1, options.width_max);
    const int64_t height_max = 2 * std::max<int64_t>(1, options.lines_max);
    const int64_t enlargement =
        std::clamp<int64_t>(std::min(width_max / columns, height_max / rows), 1,
                            std::max<int64_t>(1, options.enlargement_max));
    width_ = std::min(columns * enlargement, width_max);
    height_ = std::min(rows * enlargement, height_max);
  }

  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

  Color At(int64_t y, int64_t x) const {
    const int64_t row_end = std::max(First(y, rows_, height_) + 1, First(y + 1, rows_, height_));
    const int64_t column_end =
        std::max(First(x, columns_, width_) + 1, First(x + 1, columns_, width_));
    double sum = 0;
    int64_t count = 0;
    for (int64_t row = First(y, rows_, height_); row < row_end; ++row) {
      for (int64_t column = First(x, columns_, width_); column < column_end; ++column) {
        const float value = values_[row * columns_ + column];
        if (!std::isfinite(value)) continue;
        sum += value;
        ++count;
      }
    }
    if (count == 0) return kNothingFinite;
    return HeatMapColor(range_.Position(sum / static_cast<double>(count)));
  }

 private:
  // The first of `source` rows or columns that colour `i` of `shown` stands for. `shown` is small.
  static int64_t First(int64_t i, int64_t source, int64_t shown) {
    return source / shown * i + source % shown * i / shown;
  }

  const absl::Span<const float> values_;
  const int64_t rows_;
  const int64_t columns_;
  const Range range_;
  int64_t width_ = 0;
  int64_t height_ = 0;
};

// Two rows of colours in one line: the upper as foreground, the lower, if there is one, as
// background of half blocks.
std::string HeatMapLine(const ColorGrid& grid, int64_t y) {
  const bool has_lower = y + 1 < grid.height();
  std::string line;
  std::optional<Color> last_upper;
  std::optional<Color> last_lower;
  for (int64_t x = 0; x < grid.width(); ++x) {
    const Color upper = grid.At(y, x);
    if (last_upper != upper) absl::StrAppend(&line, Foreground(upper));
    last_upper = upper;
    if (has_lower) {
      const Color lower = grid.At(y + 1, x);
      if (last_lower != lower) absl::StrAppend(&line, Background(lower));
      last_lower = lower;
    }
    absl::StrAppend(&line, kUpperHalfBlock);
  }
  absl::StrAppend(&line, kResetColors, "\n");
  return line;
}

std::string Legend(const Range& range) {
  if (range.empty()) return "no finite values\n";
  if (range.min == range.max) return absl::StrFormat("all finite values are %.4g\n", range.min);
  constexpr int kCells = 24;
  std::string legend = absl::StrFormat("%.4g ", range.min);
  for (int i = 0; i < kCells; ++i) {
    absl::StrAppend(&legend, Background(HeatMapColor(i / (kCells - 1.0))), " ");
  }
  absl::StrAppend(&legend, kResetColors, absl::StrFormat(" %.4g\n", range.max));
  return legend;
}

}  // namespace

std::string MatrixText(absl::Span<const float> values, int64_t rows, int64_t columns,
                       const MatrixTextOptions& options) {
  if (rows == 0 || columns == 0) {
    return absl::StrCat("[] of shape ", ShapeString({rows, columns}), "\n");
  }
  const auto shown_rows = ShownIndices(rows, options.rows_max);
  const auto shown_columns = ShownIndices(columns, options.columns_max);
  std::vector<float> shown;
  for (const auto& row : shown_rows) {
    for (const auto& column : shown_columns) {
      if (row.has_value() && column.has_value()) shown.push_back(values[*row * columns + *column]);
    }
  }
  const NumberFormat format(shown, options.precision);
  std::string text;
  for (size_t i = 0; i < shown_rows.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "[" : " ");
    if (!shown_rows[i].has_value()) {
      absl::StrAppend(&text, kGap, "\n");
      continue;
    }
    for (size_t j = 0; j < shown_columns.size(); ++j) {
      absl::StrAppend(&text, j == 0 ? "[" : " ");
      if (shown_columns[j].has_value()) {
        absl::StrAppend(&text, format(values[*shown_rows[i] * columns + *shown_columns[j]]));
      } else {
        absl::StrAppend(&text, kGap);
      }
    }
    absl::StrAppend(&text, i + 1 == shown_rows.size() ? "]]\n" : "]\n");
  }
  return text;
}

std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       const MatrixTextOptions& options) {
  if (shape.empty()) {
    return absl::StrCat(NumberFormat({values[0]}, options.precision)(values[0]), "\n");
  }
  return ForEachMatrix(values, shape, options.matrices_max,
                       [&](absl::Span<const float> matrix, int64_t rows, int64_t columns) {
                         return MatrixText(matrix, rows, columns, options);
                       });
}

std::string HeatMap(absl::Span<const float> values, int64_t rows, int64_t columns,
                    const HeatMapOptions& options) {
  if (rows == 0 || columns == 0) {
    return absl::StrCat("[] of shape ", ShapeString({rows, columns}), "\n");
  }
  const Range range = FiniteRange(values);
  const ColorGrid grid(values, rows, columns, range, options);
  std::string map;
  for (int64_t y = 0; y < grid.height(); y += 2) absl::StrAppend(&map, HeatMapLine(grid, y));
  absl::StrAppend(&map, Legend(range));
  return map;
}

std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapOptions& options) {
  return ForEachMatrix(values, shape, options.matrices_max,
                       [&](absl::Span<const float> matrix, int64_t rows, int64_t columns) {
                         return HeatMap(matrix, rows, columns, options);
                       });
}

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

}  // namespace qkserve
