#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace qkserve {

struct HeatMapPngOptions {
  // Pixels of the matrices together; the colour bar comes beside them.
  int64_t width_max = 1600;
  int64_t height_max = 1200;

  // Small matrices are enlarged: the largest side of an element's square, in pixels. If a strip
  // would still be thinner than `side_min` pixels, elements are stretched to it.
  int64_t enlargement_max = 32;
  int64_t side_min = 48;
};

// A tensor as a heat map in a PNG: HeatMapColor from the smallest finite value of the tensor to the
// largest, grey where nothing is finite. Matrices along the leading dimensions stand one below the
// other with a thin white gap. If there is no room for that, they are drawn as one. Large matrices
// are reduced as by ColorGrid. The bar on the right goes from the largest value, at the top, to the
// smallest.
//
// `values` are row-major and as many as `shape` says.
// INVALID_ARGUMENT: there are no elements; RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<std::string> HeatMapPng(absl::Span<const float> values,
                                       absl::Span<const int64_t> shape,
                                       const HeatMapPngOptions& options = {});

// The same written to a file, as by WriteOutput. Errors name the file.
absl::Status WriteHeatMapPng(const std::string& path, absl::Span<const float> values,
                             absl::Span<const int64_t> shape);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_HEAT_MAP_PNG_H_
