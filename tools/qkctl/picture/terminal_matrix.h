#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {

// Pure functions that show tensors to people, as text and as colours. Their texts end with a line
// feed. `values` are row-major and as many as `shape` says.
//
// A tensor of rank 3 or more is shown as one matrix for each leading index, below a line such as
// "[0, 1]". Rank 1 is shown as one row.

struct MatrixTextOptions {
  // If a matrix is larger, "..." replaces its middle rows and columns.
  int64_t rows_max = 10;
  int64_t columns_max = 8;

  // The most characters of a line. If lines would be longer, fewer columns are shown, but at least
  // two.
  int64_t width_max = 80;

  // If a tensor has more matrices, only the first and last ones are shown.
  int64_t matrices_max = 4;
};

// Returns the tensor in NumPy's manner, with up to four digits after the point:
//   [[ 1.5 -2.25 ...  nan]
//    [ 0.0  3.0  ...  inf]]
// Rank 0 is shown as one number. `keys` may be empty. Otherwise they are the keys of the best
// scores of each query, one for each value, and each stands before its score. A key of -1 says that
// fewer keys were left, and is shown as a dash:
//   [[ 12: 3.50    4: 1.25]
//    [  7: 2.00          -]]
std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       absl::Span<const int32_t> keys = {}, const MatrixTextOptions& options = {});

struct HeatMapOptions {
  int64_t width_max = 80;  // characters of a line, including the row numbers
  int64_t lines_max = 24;  // lines of the map; each shows two rows of colours

  // Small matrices are enlarged: an element becomes a square of cells of one colour. This is the
  // most cells on a side. A character shows two cells, one above the other.
  int64_t enlargement_max = 4;

  int64_t matrices_max = 4;  // as in MatrixTextOptions
};

// Returns each matrix as a heat map for terminals with 24-bit colour, as ColorGrid makes it. Dark
// blue is the smallest value that is shown, green is in the middle, and yellow is the largest. The
// line above the map says what rows and columns are. Indices stand before and below the map. The
// legend shows both ends of the colours, and counts the values that are not finite. If the matrix
// was reduced, the legend says by how much, and gives the range of all values.
std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapLabels& labels = {}, const HeatMapOptions& options = {});

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
