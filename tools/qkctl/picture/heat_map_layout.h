#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_LAYOUT_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_LAYOUT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "tools/qkctl/picture/color_grid.h"
#include "tools/qkctl/picture/heat_map_png.h"

namespace qkserve {

// The places of a tensor's matrices in a picture: tiles of one size, in lines.
struct HeatMapLayout {
  static constexpr int64_t kGap = 12;         // pixels between tiles
  static constexpr int64_t kNameHeight = 20;  // above a tile that has a name

  MatrixSizes matrix;
  int64_t matrices = 1;
  int64_t tiles_a_line = 1;
  int64_t tile_width = 0;
  int64_t tile_height = 0;
  bool has_names = false;  // tiles have their leading index above them
  bool is_merged = false;  // too many matrices: all rows are drawn as one matrix

  // Return the left and the top of tile `i`, counted from the top left of all tiles.
  int64_t Left(int64_t i) const { return i % tiles_a_line * (tile_width + kGap); }
  int64_t Top(int64_t i) const {
    return i / tiles_a_line * (name_height() + tile_height + kGap) + name_height();
  }

  int64_t width() const { return Left(tiles_a_line - 1) + tile_width; }
  int64_t height() const { return Top(matrices - 1) + tile_height; }
  int64_t name_height() const { return has_names ? kNameHeight : 0; }
};

// Returns the best layout. `elements` is the number of elements of all matrices, and is not 0.
HeatMapLayout LayOutHeatMap(absl::Span<const int64_t> shape, int64_t elements,
                            const HeatMapPngOptions& options);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_LAYOUT_H_
