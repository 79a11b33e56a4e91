#ifndef QKSERVE_TESTS_SUPPORT_MATRIX_DIMS_H_
#define QKSERVE_TESTS_SUPPORT_MATRIX_DIMS_H_

#include <cstdint>

#include "qkserve/tensor.h"

namespace qkserve {

// [batch, heads, rows, width]. Dimensions that the shape lacks are 1.
struct MatrixDims {
  explicit MatrixDims(const Shape& shape)
      : batch(shape.size() > 2 ? shape[0] : 1),
        heads(shape.size() > 3 ? shape[1] : 1),
        rows(shape[shape.size() - 2]),
        width(shape.back()) {}
  int64_t batch, heads, rows, width;
};

// The dimension of a result. Either a and b are equal, or one of them is 1.
inline int64_t Joined(int64_t a, int64_t b) { return a == 1 ? b : a; }

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_MATRIX_DIMS_H_
