#include "tools/qkctl/picture/heat_map_layout.h"

#include <algorithm>
#include <cmath>

namespace qkserve {
namespace {

// The smallest side of a tile in pixels. A smaller tile shows nothing useful.
constexpr int64_t kTileMin = 24;

// Returns the pixels that `count` elements take in one direction. An element takes `enlargement`
// pixels, or more if all elements together would be thinner than `side_min`. More than `pixels_max`
// elements are reduced to `pixels_max` pixels.
int64_t Pixels(int64_t count, int64_t enlargement, int64_t pixels_max, int64_t side_min) {
  if (count >= pixels_max) return pixels_max;
  const int64_t stretched = std::min((side_min + count - 1) / count, pixels_max / count);
  return count * std::max(enlargement, stretched);
}

// Returns the layout with `tiles_a_line`. Its tiles have no pixels if there is no room.
HeatMapLayout WithTiles(HeatMapLayout layout, int64_t tiles_a_line,
                        const HeatMapPngOptions& options) {
  constexpr int64_t kGap = HeatMapLayout::kGap;
  layout.tiles_a_line = tiles_a_line;
  const int64_t lines = (layout.matrices + tiles_a_line - 1) / tiles_a_line;
  const int64_t width_max = (options.width_max + kGap) / tiles_a_line - kGap;
  const int64_t height_max = (options.height_max + kGap) / lines - kGap - layout.name_height();
  if (layout.matrices > 1 && std::min(width_max, height_max) < kTileMin) return layout;
  const int64_t enlargement = std::clamp<int64_t>(
      std::min(width_max / layout.matrix.columns, height_max / layout.matrix.rows), 1,
      options.enlargement_max);
  layout.tile_width = Pixels(layout.matrix.columns, enlargement, width_max, options.side_min);
  layout.tile_height = Pixels(layout.matrix.rows, enlargement, height_max, options.side_min);
  return layout;
}

// True if `a` shows the matrices better than `b`. More pixels are better. If the pixels are the
// same, a picture closer to 4:3 is better.
bool IsBetter(const HeatMapLayout& a, const HeatMapLayout& b) {
  const int64_t pixels_a = a.tile_width * a.tile_height;
  const int64_t pixels_b = b.tile_width * b.tile_height;
  if (pixels_a != pixels_b) return pixels_a > pixels_b;
  if (pixels_a == 0) return false;
  const auto distance = [](const HeatMapLayout& layout) {
    constexpr double kGoodForm = 4.0 / 3;
    return std::abs(std::log(static_cast<double>(layout.width()) /
                             static_cast<double>(layout.height()) / kGoodForm));
  };
  return distance(a) < distance(b);
}

}  // namespace

HeatMapLayout LayOutHeatMap(absl::Span<const int64_t> shape, int64_t elements,
                            const HeatMapPngOptions& options) {
  HeatMapLayout layout;
  layout.matrix = MatrixSizesOf(shape);
  layout.matrices = elements / (layout.matrix.rows * layout.matrix.columns);
  layout.has_names = shape.size() > 2;
  const int64_t tiles_max =
      std::min(layout.matrices, std::max<int64_t>(1, options.width_max / kTileMin));
  HeatMapLayout best;
  for (int64_t tiles = 1; tiles <= tiles_max; ++tiles) {
    const HeatMapLayout candidate = WithTiles(layout, tiles, options);
    if (IsBetter(candidate, best)) best = candidate;
  }
  if (best.tile_width > 0) return best;
  layout.matrix.rows *= layout.matrices;
  layout.matrices = 1;
  layout.has_names = false;
  layout.is_merged = true;
  return WithTiles(layout, 1, options);
}

}  // namespace qkserve
