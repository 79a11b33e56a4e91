#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {

struct HeatMapPngOptions {
  // The most pixels of all matrices together, without axes, numbers and colour bar.
  int64_t width_max = 1600;
  int64_t height_max = 1200;

  // Small matrices are enlarged. An element becomes a square of at most `enlargement_max` pixels a
  // side. If a matrix would still be thinner than `side_min` pixels, its elements are stretched.
  int64_t enlargement_max = 64;
  int64_t side_min = 96;
};

// Returns a tensor as a heat map in a PNG. Its colours are those of ColorOf over the range of the
// values that are shown. It has a title, axes with round indices, a colour bar with numbers, and a
// legend of values that are not finite. Matrices along the leading dimensions stand beside and
// below each other, each below its leading index. If there is no room for that, they are drawn as
// one matrix. Large matrices are reduced as by ColorGrid, and a line says so. Elements that are
// large enough have their value in them.
//
// `values` are row-major and as many as `shape` says.
// INVALID_ARGUMENT: there are no elements; RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<std::string> HeatMapPng(absl::Span<const float> values,
                                       absl::Span<const int64_t> shape,
                                       const HeatMapLabels& labels = {},
                                       const HeatMapPngOptions& options = {});

// Writes the heat map of HeatMapPng to a file, as WriteOutput does. Errors name the file.
absl::Status WriteHeatMapPng(const std::string& path, absl::Span<const float> values,
                             absl::Span<const int64_t> shape, const HeatMapLabels& labels = {});

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_
