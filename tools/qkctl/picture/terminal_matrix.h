#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {

// Tensors for people, as text and as colours. Pure functions. The text that they return ends with a
// line feed. `values` are row-major and as many as `shape` says.
//
// From rank 3 on there is one matrix for each leading index, below a line such as "[0, 1]". Rank 1
// is shown as one row.

struct MatrixTextOptions {
  // If a matrix is larger, its first and last rows and columns are shown around "...".
  int64_t rows_max = 10;
  int64_t columns_max = 8;

  // Characters of a line. There are fewer columns, but at least two, if the lines would be longer.
  int64_t width_max = 80;

  // If a tensor has more matrices, the first and last are shown.
  int64_t matrices_max = 4;
};

// In NumPy's manner, with up to four digits after the point:
//   [[ 1.5 -2.25 ...  nan]
//    [ 0.0  3.0  ...  inf]]
// Rank 0 is shown as one number. `keys` are as many as `values`, or none: the key of every score,
// which stands before it, for the best scores of each query. A key of -1 says that fewer keys were
// left, and is shown as a dash:
//   [[ 12: 3.50    4: 1.25]
//    [  7: 2.00          -]]
std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       absl::Span<const int32_t> keys = {}, const MatrixTextOptions& options = {});

struct HeatMapOptions {
  int64_t width_max = 80;  // characters of a line, with the numbers of rows
  int64_t lines_max = 24;  // of the map; a line of text shows two rows of colours

  // Small matrices are enlarged: the largest side of an element's square, in colours.
  int64_t enlargement_max = 4;

  int64_t matrices_max = 4;  // as in MatrixTextOptions
};

// Each matrix as a heat map for terminals with 24-bit colour, as ColorGrid makes it: dark blue for
// the smallest value that is shown, over green, to yellow for the largest. Above it a line says
// what rows and columns are, before and below it are their indices. The legend has both ends of the
// colours, what is not finite with its count, and, if the matrix was reduced, by how much and the
// range of all values.
std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapLabels& labels = {}, const HeatMapOptions& options = {});

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
