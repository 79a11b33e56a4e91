#ifndef QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
#define QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "tools/qkctl/picture/color_grid.h"

namespace qkserve {

// Matrices for people, as text and as colours. Pure functions; what they return ends with a line
// feed. `values` are row-major and as many as the sizes say.

struct MatrixTextOptions {
  // Larger matrices show their first and last rows and columns around "...".
  int64_t rows_max = 10;
  int64_t columns_max = 8;

  // The same for matrices along the leading dimensions of a tensor.
  int64_t matrices_max = 4;

  // Digits after the point; trailing zeros that all elements share are dropped.
  int precision = 4;
};

// One matrix in NumPy's manner:
//   [[ 1.5 -2.25 ...  nan]
//    [ 0.0  3.0  ...  inf]]
std::string MatrixText(absl::Span<const float> values, int64_t rows, int64_t columns,
                       const MatrixTextOptions& options = {});

// A tensor of any rank: from rank 3 on, one matrix for each leading index, below a line such as
// "[0, 1]". Rank 1 is shown as one row, rank 0 as one number.
std::string TensorText(absl::Span<const float> values, absl::Span<const int64_t> shape,
                       const MatrixTextOptions& options = {});

// The same with the key of every score before it, for the best scores of each query:
//   [[ 12: 3.50    4: 1.25]
//    [  7: 2.00   -1: -inf]]
// `keys` are as many as `values`, or none.
std::string KeyedTensorText(absl::Span<const int32_t> keys, absl::Span<const float> values,
                            absl::Span<const int64_t> shape, const MatrixTextOptions& options = {});

struct HeatMapOptions {
  int64_t width_max = 80;  // characters of a line
  int64_t lines_max = 24;  // a line of text shows two rows of colours

  // Small matrices are enlarged: the largest side of an element's square, in colours.
  int64_t enlargement_max = 4;

  int64_t matrices_max = 4;  // as in MatrixTextOptions
};

// One matrix as a heat map for terminals with 24-bit colour: dark blue for the smallest finite
// value, over green, to yellow for the largest, with both below it. Grey where nothing is finite. A
// matrix that is larger than the options allow is reduced: a colour is the mean of the finite
// values that it stands for.
std::string HeatMap(absl::Span<const float> values, int64_t rows, int64_t columns,
                    const HeatMapOptions& options = {});

// Heat maps of a tensor, as TensorText shows its matrices.
std::string TensorHeatMap(absl::Span<const float> values, absl::Span<const int64_t> shape,
                          const HeatMapOptions& options = {});

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_PICTURE_TERMINAL_MATRIX_H_
