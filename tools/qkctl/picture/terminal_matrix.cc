#include "tools/qkctl/picture/terminal_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {
namespace {

constexpr char kGap[] = "...";

// Returns which of `count` indices are shown. If `shown_max` is too small for all, these are the
// first and the last ones, with nullopt between them for "...".
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

// Renders the matrix whose first element has the index `first`. The matrix is not empty.
using RenderMatrix = std::function<std::string(int64_t first, MatrixSizes matrix)>;

// Renders every matrix of a tensor, each below its leading index.
std::string ForEachMatrix(absl::Span<const int64_t> shape, int64_t matrices_max,
                          const RenderMatrix& render) {
  const MatrixSizes matrix = MatrixSizesOf(shape);
  const bool is_matrix = shape.size() <= 2;
  if (ElementCount(shape).value_or(0) == 0) {
    const Shape shown = {matrix.rows, matrix.columns};
    return absl::StrCat("[] of shape ", ShapeString(is_matrix ? shown : shape), "\n");
  }
  if (is_matrix) return render(0, matrix);
  const absl::Span<const int64_t> leading = shape.first(shape.size() - 2);
  std::string text;
  for (const auto& i : ShownIndices(ElementCount(leading).value_or(0), matrices_max)) {
    absl::StrAppend(&text, i.has_value() ? LeadingIndex(*i, leading) : kGap, "\n",
                    i.has_value() ? render(*i * matrix.rows * matrix.columns, matrix) : "");
  }
  return text;
}

// Returns the numbers as texts of one width. Finite numbers have the same number of digits after
// the point. Trailing zeros that all of them share are dropped.
std::vector<std::string> NumberTexts(absl::Span<const float> numbers) {
  constexpr int kPrecision = 4;
  float largest = 0;
  for (const float number : numbers) {
    if (std::isfinite(number)) largest = std::max(largest, std::abs(number));
  }
  const bool is_scientific = largest >= 1e8F || (largest > 0 && largest < 1e-3F);
  size_t dropped = is_scientific ? 0 : kPrecision - 1;  // one digit after the point stays
  std::vector<std::string> texts;
  for (const float number : numbers) {
    texts.push_back(is_scientific && std::isfinite(number)
                        ? absl::StrFormat("%.*e", kPrecision, number)
                        : absl::StrFormat("%.*f", kPrecision, number));
    std::string& text = texts.back();
    if (!std::isfinite(number)) continue;
    // A zero has no sign, and neither has a number that is shown as zero.
    if (text[0] == '-' && text.find_first_of("123456789") == text.npos) text.erase(0, 1);
    dropped = std::min(dropped, text.size() - 1 - text.find_last_not_of('0'));
  }
  size_t width = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (std::isnan(numbers[i])) texts[i] = "nan";  // without a sign
    if (std::isfinite(numbers[i])) texts[i].resize(texts[i].size() - dropped);
    width = std::max(width, texts[i].size());
  }
  for (std::string& text : texts) text.insert(0, width - text.size(), ' ');
  return texts;
}

std::string MatrixText(absl::Span<const float> values, MatrixSizes matrix,
                       absl::Span<const int32_t> keys, int64_t rows_max, int64_t columns_max) {
  const auto shown_rows = ShownIndices(matrix.rows, rows_max);
  const auto shown_columns = ShownIndices(matrix.columns, columns_max);
  std::vector<float> shown;
  size_t key_width = 0;
  for (const auto& row : shown_rows) {
    for (const auto& column : shown_columns) {
      if (!row.has_value() || !column.has_value()) continue;
      const int64_t element = *row * matrix.columns + *column;
      shown.push_back(values[element]);
      if (!keys.empty()) key_width = std::max(key_width, absl::StrCat(keys[element]).size());
    }
  }
  const std::vector<std::string> numbers = NumberTexts(shown);
  auto number = numbers.begin();
  std::vector<std::string> lines;
  for (const auto& row : shown_rows) {
    std::vector<std::string> cells;
    for (const auto& column : shown_columns) {
      if (!row.has_value()) break;
      cells.emplace_back(kGap);
      if (!column.has_value()) continue;
      cells.back() = *number++;
      if (keys.empty()) continue;
      const int32_t key = keys[*row * matrix.columns + *column];
      const int width = static_cast<int>(key_width);
      cells.back() =
          key < 0 ? absl::StrFormat("%*s", width + 2 + static_cast<int>(cells.back().size()), "-")
                  : absl::StrFormat("%*d: %s", width, key, cells.back());
    }
    const std::string joined = absl::StrJoin(cells, keys.empty() ? " " : "  ");
    lines.push_back(row.has_value() ? absl::StrCat("[", joined, "]") : kGap);
  }
  return absl::StrCat("[", absl::StrJoin(lines, "\n "), "]\n");
}

size_t LongestLine(absl::string_view text) {
  size_t longest = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    longest = std::max(longest, line.size());
  }
  return longest;
}

// Returns MatrixText with as many columns as fit.
std::string FittingText(absl::Span<const float> values, MatrixSizes matrix,
                        absl::Span<const int32_t> keys, const MatrixTextOptions& options) {
  int64_t columns = std::min(matrix.columns, options.columns_max);
  std::string text = MatrixText(values, matrix, keys, options.rows_max, columns);
  while (columns > 2 && LongestLine(text) > static_cast<size_t>(options.width_max)) {
    text = MatrixText(values, matrix, keys, options.rows_max, --columns);
  }
  return text;
}

constexpr absl::string_view kResetColors = "\x1b[0m";
constexpr absl::string_view kUpperHalfBlock = "\u2580";
constexpr absl::string_view kFullBlock = "\u2588";

std::string Foreground(Color c) {
  return absl::StrFormat("\x1b[38;2;%d;%d;%dm", c.red, c.green, c.blue);
}

std::string Background(Color c) {
  return absl::StrFormat("\x1b[48;2;%d;%d;%dm", c.red, c.green, c.blue);
}

size_t Digits(int64_t number) { return absl::StrCat(number).size(); }

// Returns the matrix in as many colours as the options allow.
ColorGrid GridOf(absl::Span<const float> values, MatrixSizes matrix, int64_t width_max,
                 const HeatMapOptions& options) {
  const int64_t height_max = 2 * std::max<int64_t>(1, options.lines_max);
  const int64_t enlargement =
      std::clamp<int64_t>(std::min(width_max / matrix.columns, height_max / matrix.rows), 1,
                          std::max<int64_t>(1, options.enlargement_max));
  return ColorGrid(values, matrix, std::min(matrix.rows * enlargement, height_max),
                   std::min(matrix.columns * enlargement, width_max));
}

// Returns two rows of colours as one line of half blocks. The upper row is the foreground. The
// lower row, if there is one, is the background.
std::string HeatMapLine(const ColorGrid& grid, int64_t y) {
  const bool has_lower = y + 1 < grid.height();
  std::string line;
  std::optional<Color> last_upper;
  std::optional<Color> last_lower;
  for (int64_t x = 0; x < grid.width(); ++x) {
    const Color upper = ColorOf(grid.At(y, x), grid.range());
    if (last_upper != upper) absl::StrAppend(&line, Foreground(upper));
    last_upper = upper;
    if (has_lower) {
      const Color lower = ColorOf(grid.At(y + 1, x), grid.range());
      if (last_lower != lower) absl::StrAppend(&line, Background(lower));
      last_lower = lower;
    }
    absl::StrAppend(&line, kUpperHalfBlock);
  }
  return absl::StrCat(line, kResetColors, "\n");
}

// Returns the lines of the map with the indices of rows before them. An index stands on the line
// where its row begins.
std::string MapLines(const ColorGrid& grid, int64_t rows, size_t gutter) {
  constexpr double kTickColors =
      6;  // ticks are at least 3 lines apart; a line has 2 rows of colours
  const auto height = static_cast<double>(grid.height());
  std::map<int64_t, int64_t> index_at;
  for (const int64_t index : IndexTicks(rows, static_cast<double>(rows) * kTickColors / height)) {
    index_at.emplace(index * grid.height() / rows / 2, index);
  }
  std::string lines;
  for (int64_t y = 0; y < grid.height(); y += 2) {
    const auto tick = index_at.find(y / 2);
    const std::string number = tick == index_at.end() ? "" : absl::StrCat(tick->second);
    absl::StrAppend(&lines, std::string(gutter - 1 - number.size(), ' '), number, " ",
                    HeatMapLine(grid, y));
  }
  return lines;
}

// Returns the indices of columns, each below the place where its column begins.
std::string ColumnNumbers(const ColorGrid& grid, int64_t columns, size_t gutter, size_t width_max) {
  const auto room = static_cast<double>(Digits(columns - 1) + 2);
  const auto width = static_cast<double>(grid.width());
  std::string line(gutter, ' ');
  for (const int64_t index : IndexTicks(columns, static_cast<double>(columns) * room / width)) {
    const size_t at = gutter + static_cast<size_t>(index * grid.width() / columns);
    if (at + Digits(index) > width_max) break;
    line.resize(at, ' ');
    absl::StrAppend(&line, index);
  }
  return absl::StrCat(line, "\n");
}

// A part of a legend: its text, which may have colours, and its length on the screen.
struct LegendPart {
  std::string text;
  size_t length;
};

LegendPart Plain(const std::string& text) { return {text, text.size()}; }

LegendPart RangePart(const ValueRange& range, size_t width_max) {
  if (range.empty()) return Plain("no finite values");
  if (range.min == range.max) {
    return Plain(absl::StrFormat("all finite values are %.4g", range.min));
  }
  const std::string min = absl::StrFormat("%.4g ", range.min);
  const std::string max = absl::StrFormat(" %.4g", range.max);
  const size_t numbers = min.size() + max.size();
  const size_t cells = std::clamp<size_t>(width_max - std::min(width_max, numbers), 4, 24);
  std::string bar;
  for (size_t i = 0; i < cells; ++i) {
    const double position = static_cast<double>(i) / static_cast<double>(cells - 1);
    absl::StrAppend(&bar, Background(HeatMapColor(position)), " ");
  }
  return {absl::StrCat(min, bar, kResetColors, max), numbers + cells};
}

std::string Legend(absl::Span<const float> values, const ColorGrid& grid, size_t width_max) {
  std::vector<LegendPart> parts = {RangePart(grid.range(), width_max)};
  for (const NotFinite& kind : CountNotFinite(values)) {
    const std::string text = absl::StrCat(kind.name, ": ", kind.count);
    parts.push_back({absl::StrCat(Foreground(kind.color), kFullBlock, kResetColors, " ", text),
                     text.size() + 2});
  }
  const MatrixSizes reduction = grid.reduction();
  if (reduction.rows * reduction.columns > 1 && !grid.range().empty()) {
    const ValueRange all = FiniteRange(values);
    parts.push_back(
        Plain(absl::StrFormat("means of up to %d x %d values", reduction.rows, reduction.columns)));
    parts.push_back(Plain(absl::StrFormat("all values: %.4g to %.4g", all.min, all.max)));
  }
  std::string legend;
  size_t length = 0;
  for (const LegendPart& part : parts) {
    const bool fits = length > 0 && length + 2 + part.length <= width_max;
    if (length > 0) absl::StrAppend(&legend, fits ? "  " : "\n");
    length = part.length + (fits ? length + 2 : 0);
    absl::StrAppend(&legend, part.text);
  }
  return absl::StrCat(legend, "\n");
}

}  // namespace

std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       absl::Span<const int32_t> keys, const MatrixTextOptions& options) {
  if (shape.empty()) return absl::StrCat(NumberTexts(values)[0], "\n");
  return ForEachMatrix(shape, options.matrices_max, [&](int64_t first, MatrixSizes matrix) {
    const int64_t count = matrix.rows * matrix.columns;
    return FittingText(values.subspan(first, count), matrix,
                       keys.empty() ? keys : keys.subspan(first, count), options);
  });
}

std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapLabels& labels, const HeatMapOptions& options) {
  return ForEachMatrix(shape, options.matrices_max, [&](int64_t first, MatrixSizes matrix) {
    const auto elements = values.subspan(first, matrix.rows * matrix.columns);
    const size_t gutter = Digits(matrix.rows - 1) + 1;
    const auto width_max = static_cast<size_t>(std::max<int64_t>(options.width_max, gutter + 1));
    const ColorGrid grid =
        GridOf(elements, matrix, static_cast<int64_t>(width_max - gutter), options);
    return absl::StrFormat(
        "%s%d %s down, %d %s across\n%s%s%s", labels.title.empty() ? "" : labels.title + ": ",
        matrix.rows, labels.down, matrix.columns, labels.across,
        MapLines(grid, matrix.rows, gutter), ColumnNumbers(grid, matrix.columns, gutter, width_max),
        Legend(elements, grid, width_max));
  });
}

}  // namespace qkserve
