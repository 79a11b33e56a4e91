#include "tools/qkctl/picture/heat_map_png.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"
#include "base/round_step.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/output/file_output.h"
#include "tools/qkctl/picture/canvas.h"
#include "tools/qkctl/picture/heat_map_layout.h"

namespace qkserve {
namespace {

constexpr Color kText{36, 41, 47};
constexpr Color kSoftText{87, 96, 106};
constexpr Color kLines{140, 149, 159};
constexpr double kTextSize = 10;
constexpr double kTitleSize = 14;

// Distances in pixels.
constexpr int64_t kMargin = 18;
constexpr int64_t kTick = 5;
constexpr int64_t kTextGap = 6;  // between a tick and its number
constexpr int64_t kLineHeight = 22;
constexpr int64_t kBarGap = 26;
constexpr int64_t kBarWidth = 16;
constexpr double kNumberDistance = 18;  // the least between numbers below each other

int64_t Pixels(double length) { return static_cast<int64_t>(std::ceil(length)); }

// Drops the sign of -0.
std::string NumberText(double value) { return absl::StrFormat("%.4g", value == 0 ? 0 : value); }

double IndexWidth(int64_t count) { return TextWidth(absl::StrCat(count - 1), kTextSize); }

// A number of the colour bar and its value.
struct BarTick {
  double value;
  std::string text;
};

// Returns the ends of the range, and round numbers between them.
std::vector<BarTick> BarTicks(const ValueRange& range, int64_t height) {
  if (range.empty()) return {};
  std::vector<BarTick> ticks = {{range.min, NumberText(range.min)}};
  if (range.min == range.max) return ticks;
  ticks.push_back({range.max, NumberText(range.max)});
  const double span = static_cast<double>(range.max) - range.min;
  const double least = span * kNumberDistance / static_cast<double>(height);
  const double step = RoundStep(2.5 * least);
  // Each number is a multiple of the step, because a sum of steps would have rounding errors.
  for (double i = std::ceil((range.min + least) / step); i * step <= range.max - least; ++i) {
    ticks.push_back({i * step, NumberText(i * step)});
  }
  return ticks;
}

// A heat map with the sizes of its parts.
class HeatMapDrawing {
 public:
  HeatMapDrawing(absl::Span<const float> values, absl::Span<const int64_t> shape,
                 const HeatMapLabels& labels, const HeatMapLayout& layout);

  absl::StatusOr<std::string> Png();

 private:
  void DrawTile(int64_t i);
  void DrawValues(const ColorGrid& grid, int64_t left, int64_t top);
  void DrawRowNumbers(int64_t left, int64_t top);
  void DrawColumnNumbers(int64_t left, int64_t top);
  void DrawColorBar();
  void DrawNotes();

  // Returns the width of the line below the axes. This line says what is not finite, and how the
  // matrix was reduced.
  double NotesWidth() const;

  const absl::Span<const int64_t> shape_;
  const HeatMapLabels& labels_;
  const HeatMapLayout& layout_;
  const std::vector<NotFinite> not_finite_;
  std::vector<ColorGrid> grids_;
  ValueRange range_;
  std::vector<BarTick> bar_ticks_;
  std::string title_;
  std::string note_;
  int64_t left_ = 0;  // the left end of all tiles
  int64_t top_ = 0;
  Canvas canvas_{0, 0};
};

// Returns the width of a text such as "-inf: 3" with its square and spaces.
double SwatchWidth(const NotFinite& kind) {
  return 12 + kTextGap + TextWidth(absl::StrCat(kind.name, ": ", kind.count), kTextSize) + 16;
}

HeatMapDrawing::HeatMapDrawing(absl::Span<const float> values, absl::Span<const int64_t> shape,
                               const HeatMapLabels& labels, const HeatMapLayout& layout)
    : shape_(shape), labels_(labels), layout_(layout), not_finite_(CountNotFinite(values)) {
  const int64_t elements = layout.matrix.rows * layout.matrix.columns;
  for (int64_t i = 0; i < layout.matrices; ++i) {
    grids_.emplace_back(values.subspan(i * elements, elements), layout.matrix, layout.tile_height,
                        layout.tile_width);
    range_.Add(grids_.back().range().min);
    range_.Add(grids_.back().range().max);
  }
  bar_ticks_ = BarTicks(range_, layout.height());
  title_ = absl::StrCat(labels.title, labels.title.empty() ? "" : " ", ShapeString(shape));
  const MatrixSizes reduction = grids_[0].reduction();
  const ValueRange all = FiniteRange(values);
  if (reduction.rows * reduction.columns > 1 && !all.empty()) {
    note_ = absl::StrFormat("means of up to %d x %d values; all values: %s to %s", reduction.rows,
                            reduction.columns, NumberText(all.min), NumberText(all.max));
  }
  double bar_text = 0;
  for (const BarTick& tick : bar_ticks_) {
    bar_text = std::max(bar_text, TextWidth(tick.text, kTextSize));
  }
  left_ = kMargin + Pixels(kTextSize + 10 + IndexWidth(layout.matrix.rows)) + kTextGap + kTick;
  top_ = kMargin + Pixels(kTitleSize) + 14;
  const int64_t right = layout.width() + kBarGap + kBarWidth + kTick + kTextGap + Pixels(bar_text);
  const int64_t text = Pixels(std::max(TextWidth(title_, kTitleSize), NotesWidth()));
  const int64_t below = kTick + 3 * kLineHeight;
  canvas_ =
      Canvas(left_ + std::max(right, text) + kMargin, top_ + layout.height() + below + kMargin);
}

double HeatMapDrawing::NotesWidth() const {
  double width = TextWidth(note_, kTextSize);
  for (const NotFinite& kind : not_finite_) width += SwatchWidth(kind);
  return width;
}

void HeatMapDrawing::DrawValues(const ColorGrid& grid, int64_t left, int64_t top) {
  const int64_t width = layout_.tile_width / layout_.matrix.columns;
  const int64_t height = layout_.tile_height / layout_.matrix.rows;
  constexpr int64_t kHeightMin = 20;
  constexpr int64_t kWidthMin = 48;
  if (width < kWidthMin || height < kHeightMin) return;
  for (int64_t y = 0; y < layout_.tile_height; y += height) {
    for (int64_t x = 0; x < layout_.tile_width; x += width) {
      const float value = grid.At(y, x);
      const Color back = ColorOf(value, range_);
      const bool is_light = 0.2126 * back.red + 0.7152 * back.green + 0.0722 * back.blue > 128;
      const std::string text =
          std::isnan(value) ? "nan" : absl::StrFormat("%.3g", value == 0 ? 0 : value);
      DrawText(
          canvas_, left + x + width / 2.0, top + y + (height + kTextSize) / 2.0, text,
          {.size = kTextSize, .color = is_light ? kText : Color{255, 255, 255}, .anchor = 0.5});
    }
  }
}

void HeatMapDrawing::DrawRowNumbers(int64_t left, int64_t top) {
  const int64_t rows = layout_.matrix.rows;
  const double pixels = static_cast<double>(layout_.tile_height) / static_cast<double>(rows);
  // Every row has its number if there is room. Otherwise fewer numbers are easier to read.
  const double distance = pixels >= kNumberDistance ? pixels : 2.5 * kNumberDistance;
  for (const int64_t index : IndexTicks(rows, distance / pixels)) {
    const double y = top + (static_cast<double>(index) + 0.5) * pixels;
    canvas_.Fill(left - 1 - kTick, static_cast<int64_t>(y), kTick, 1, kLines);
    DrawText(canvas_, left - 1 - kTick - kTextGap, std::floor(y) + kTextSize / 2 + 0.5,
             absl::StrCat(index), {.size = kTextSize, .color = kText, .anchor = 1});
  }
}

void HeatMapDrawing::DrawColumnNumbers(int64_t left, int64_t top) {
  const int64_t columns = layout_.matrix.columns;
  const double pixels = static_cast<double>(layout_.tile_width) / static_cast<double>(columns);
  const double distance = IndexWidth(columns) + 2 * kTextSize;
  const int64_t bottom = top + layout_.tile_height + 1;
  for (const int64_t index : IndexTicks(columns, distance / pixels)) {
    const double x = left + (static_cast<double>(index) + 0.5) * pixels;
    canvas_.Fill(static_cast<int64_t>(x), bottom, 1, kTick, kLines);
    DrawText(canvas_, std::floor(x) + 0.5, bottom + kTick + kTextGap + kTextSize,
             absl::StrCat(index), {.size = kTextSize, .color = kText, .anchor = 0.5});
  }
}

void HeatMapDrawing::DrawTile(int64_t i) {
  const int64_t left = left_ + layout_.Left(i);
  const int64_t top = top_ + layout_.Top(i);
  const ColorGrid& grid = grids_[i];
  canvas_.Frame(left - 1, top - 1, grid.width() + 2, grid.height() + 2, kLines);
  for (int64_t y = 0; y < grid.height(); ++y) {
    for (int64_t x = 0; x < grid.width(); ++x) {
      canvas_.Set(left + x, top + y, ColorOf(grid.At(y, x), range_));
    }
  }
  DrawValues(grid, left, top);
  if (layout_.has_names) {
    DrawText(canvas_, left, top - kTextGap, LeadingIndex(i, shape_.first(shape_.size() - 2)),
             {.size = kTextSize, .color = kSoftText});
  }
  // Inner tiles share the numbers of the tiles at the edge.
  if (i % layout_.tiles_a_line == 0) DrawRowNumbers(left, top);
  if (i + layout_.tiles_a_line >= layout_.matrices) DrawColumnNumbers(left, top);
}

void HeatMapDrawing::DrawColorBar() {
  // The bar is as high as all tiles together.
  const int64_t height = layout_.height() - layout_.name_height();
  const int64_t top = top_ + layout_.name_height();
  const int64_t left = left_ + layout_.width() + kBarGap;
  if (range_.empty()) return;
  canvas_.Frame(left - 1, top - 1, kBarWidth + 2, height + 2, kLines);
  const auto last = static_cast<double>(std::max<int64_t>(1, height - 1));
  const bool is_one_value = range_.min == range_.max;
  for (int64_t y = 0; y < height; ++y) {
    const double position = is_one_value ? 0.5 : 1 - static_cast<double>(y) / last;
    canvas_.Fill(left, top + y, kBarWidth, 1, HeatMapColor(position));
  }
  for (const BarTick& tick : bar_ticks_) {
    const double y = top + (1 - range_.Position(tick.value)) * last;
    canvas_.Fill(left + kBarWidth + 1, std::lround(y), kTick, 1, kLines);
    DrawText(canvas_, left + kBarWidth + 1 + kTick + kTextGap, std::round(y) + kTextSize / 2 + 0.5,
             tick.text, {.size = kTextSize, .color = kText});
  }
}

void HeatMapDrawing::DrawNotes() {
  const double y = canvas_.height() - kMargin;
  double x = left_;
  for (const NotFinite& kind : not_finite_) {
    const auto left = static_cast<int64_t>(x);
    const auto top = static_cast<int64_t>(y - 11);
    canvas_.Fill(left, top, 12, 12, kind.color);
    canvas_.Frame(left, top, 12, 12, kLines);
    DrawText(canvas_, x + 12 + kTextGap, y, absl::StrCat(kind.name, ": ", kind.count),
             {.size = kTextSize, .color = kText});
    x += SwatchWidth(kind);
  }
  DrawText(canvas_, x, y, note_, {.size = kTextSize, .color = kSoftText});
}

absl::StatusOr<std::string> HeatMapDrawing::Png() {
  DrawText(canvas_, left_, kMargin + kTitleSize, title_, {.size = kTitleSize, .color = kText});
  for (int64_t i = 0; i < layout_.matrices; ++i) DrawTile(i);
  DrawText(canvas_, kMargin + kTextSize, top_ + layout_.height() / 2.0,
           absl::StrCat(labels_.down, layout_.is_merged ? " of all matrices" : ""),
           {.size = kTextSize, .color = kSoftText, .anchor = 0.5, .is_vertical = true});
  DrawText(canvas_, left_ + layout_.width() / 2.0,
           top_ + layout_.height() + kTick + 2 * kLineHeight, labels_.across,
           {.size = kTextSize, .color = kSoftText, .anchor = 0.5});
  DrawColorBar();
  DrawNotes();
  return canvas_.Png();
}

}  // namespace

absl::StatusOr<std::string> HeatMapPng(absl::Span<const float> values,
                                       absl::Span<const int64_t> shape, const HeatMapLabels& labels,
                                       const HeatMapPngOptions& options) {
  if (values.empty()) {
    return InvalidArgument("a picture of shape ", ShapeString(shape), " would be empty");
  }
  const HeatMapLayout layout = LayOutHeatMap(shape, static_cast<int64_t>(values.size()), options);
  return HeatMapDrawing(values, shape, labels, layout).Png();
}

absl::Status WriteHeatMapPng(const std::string& path, absl::Span<const float> values,
                             absl::Span<const int64_t> shape, const HeatMapLabels& labels) {
  absl::StatusOr<std::string> png = HeatMapPng(values, shape, labels);
  if (!png.ok()) {
    return absl::Status(png.status().code(), absl::StrCat(path, ": ", png.status().message()));
  }
  return WriteOutput(path, {absl::string_view(*png)});
}

}  // namespace qkserve
