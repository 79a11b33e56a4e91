#include "tools/qkctl/picture/terminal_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/picture/color_grid.h"

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

// Renders the matrix whose first element is that of the given index.
using RenderMatrix = std::function<std::string(int64_t first, MatrixSizes matrix)>;

// Every matrix of a tensor below its leading index.
std::string ForEachMatrix(absl::Span<const int64_t> shape, int64_t matrices_max,
                          const RenderMatrix& render) {
  const size_t rank = shape.size();
  const MatrixSizes matrix_sizes = MatrixSizesOf(shape);
  if (rank <= 2) return render(0, matrix_sizes);
  if (ElementCount(shape).value_or(0) == 0) {
    return absl::StrCat("[] of shape ", ShapeString(shape), "\n");
  }
  const absl::Span<const int64_t> leading = shape.first(rank - 2);
  std::string text;
  for (const std::optional<int64_t> matrix :
       ShownIndices(ElementCount(leading).value_or(0), matrices_max)) {
    if (!matrix.has_value()) {
      absl::StrAppend(&text, "...\n");
      continue;
    }
    absl::StrAppend(&text, LeadingIndex(*matrix, leading), "\n",
                    render(*matrix * matrix_sizes.rows * matrix_sizes.columns, matrix_sizes));
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

// The keys of scores, which stand before them, as wide as the widest.
class KeyFormat {
 public:
  void Add(int32_t key) { width_ = std::max(width_, absl::StrCat(key).size()); }

  std::string operator()(int32_t key) const {
    return absl::StrFormat("%*d: ", static_cast<int>(width_), key);
  }

 private:
  size_t width_ = 0;
};

// `keys` are as many as `values`, or none.
std::string KeyedMatrixText(absl::Span<const int32_t> keys, absl::Span<const float> values,
                            MatrixSizes matrix, const MatrixTextOptions& options) {
  if (matrix.rows == 0 || matrix.columns == 0) {
    return absl::StrCat("[] of shape ", ShapeString({matrix.rows, matrix.columns}), "\n");
  }
  const auto shown_rows = ShownIndices(matrix.rows, options.rows_max);
  const auto shown_columns = ShownIndices(matrix.columns, options.columns_max);
  std::vector<float> shown;
  KeyFormat key_format;
  for (const auto& row : shown_rows) {
    for (const auto& column : shown_columns) {
      if (!row.has_value() || !column.has_value()) continue;
      const int64_t element = *row * matrix.columns + *column;
      shown.push_back(values[element]);
      if (!keys.empty()) key_format.Add(keys[element]);
    }
  }
  const NumberFormat format(shown, options.precision);
  const absl::string_view separator = keys.empty() ? " " : "  ";
  std::string text;
  for (size_t i = 0; i < shown_rows.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "[" : " ");
    if (!shown_rows[i].has_value()) {
      absl::StrAppend(&text, kGap, "\n");
      continue;
    }
    for (size_t j = 0; j < shown_columns.size(); ++j) {
      absl::StrAppend(&text, j == 0 ? "[" : separator);
      if (!shown_columns[j].has_value()) {
        absl::StrAppend(&text, kGap);
        continue;
      }
      const int64_t element = *shown_rows[i] * matrix.columns + *shown_columns[j];
      if (!keys.empty()) absl::StrAppend(&text, key_format(keys[element]));
      absl::StrAppend(&text, format(values[element]));
    }
    absl::StrAppend(&text, i + 1 == shown_rows.size() ? "]]\n" : "]\n");
  }
  return text;
}

// --- Colours ------------------------------------------------------------------------------------

constexpr absl::string_view kResetColors = "\x1b[0m";
constexpr absl::string_view kUpperHalfBlock = "\u2580";

std::string Foreground(Color c) {
  return absl::StrFormat("\x1b[38;2;%d;%d;%dm", c.red, c.green, c.blue);
}

std::string Background(Color c) {
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm", c.red, c.green, c.blue);
}

// As many colours as the options allow.
ColorGrid GridOf(absl::Span<const float> values, MatrixSizes matrix, const ValueRange& range,
                 const HeatMapOptions& options) {
  const int64_t width_max = std::max<int64_t>(1, options.width_max);
  const int64_t height_max = 2 * std::max<int64_t>(1, options.lines_max);
  const int64_t enlargement =
      std::clamp<int64_t>(std::min(width_max / matrix.columns, height_max / matrix.rows), 1,
                          std::max<int64_t>(1, options.enlargement_max));
  return ColorGrid(values, matrix, range, std::min(matrix.rows * enlargement, height_max),
                   std::min(matrix.columns * enlargement, width_max));
}

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

std::string Legend(const ValueRange& range) {
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
  return KeyedMatrixText({}, values, {rows, columns}, options);
}

std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       const MatrixTextOptions& options) {
  return KeyedTensorText({}, values, shape, options);
}

std::string KeyedTensorText(absl::Span<const int32_t> keys, absl::Span<const float> values,
                            absl::Span<const int64_t> shape, const MatrixTextOptions& options) {
  if (shape.empty()) {
    return absl::StrCat(NumberFormat({values[0]}, options.precision)(values[0]), "\n");
  }
  return ForEachMatrix(shape, options.matrices_max, [&](int64_t first, MatrixSizes matrix) {
    const int64_t count = matrix.rows * matrix.columns;
    return KeyedMatrixText(keys.empty() ? keys : keys.subspan(first, count),
                           values.subspan(first, count), matrix, options);
  });
}

std::string HeatMap(absl::Span<const float> values, int64_t rows, int64_t columns,
                    const HeatMapOptions& options) {
  if (rows == 0 || columns == 0) {
    return absl::StrCat("[] of shape ", ShapeString({rows, columns}), "\n");
  }
  const ValueRange range = FiniteRange(values);
  const ColorGrid grid = GridOf(values, {rows, columns}, range, options);
  std::string map;
  for (int64_t y = 0; y < grid.height(); y += 2) absl::StrAppend(&map, HeatMapLine(grid, y));
  absl::StrAppend(&map, Legend(range));
  return map;
}

std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapOptions& options) {
  return ForEachMatrix(shape, options.matrices_max, [&](int64_t first, MatrixSizes matrix) {
    return HeatMap(values.subspan(first, matrix.rows * matrix.columns), matrix.rows, matrix.columns,
                   options);
  });
}

}  // namespace qkserve
