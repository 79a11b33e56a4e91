#ifndef QKSERVE_TESTS_SUPPORT_REFERENCE_H_
#define QKSERVE_TESTS_SUPPORT_REFERENCE_H_

#include <string>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// scale * Q·Kᵀ in float64, computed in the most direct way. The rules for shapes are written again
// here, independently of the core.
struct ReferenceScores {
  Shape shape;
  std::vector<double> scores;
  // The sum over d of |q·k|, times |scale|. Rounding errors grow with this sum.
  std::vector<double> magnitudes;
};
ReferenceScores ComputeReference(const TensorView& queries, const TensorView& keys, double scale);

// The largest error of a float32 score whose exact value is `exact`: |scale| * 2 γ_d Σ|q k| +
// 4u|exact|, with γ_d = d·u/(1−d·u) and u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical
// Algorithms, 3.1). For a 16-bit result, half a unit in the last place is added.
double ScoreBound(double exact, double magnitude, int64_t d, DataType result_type);

// Returns "" if all of `got` [.., n, m] is within the bound of the reference and has the NaN and
// infinities that IEEE demands. Otherwise names the first element that differs.
std::string CompareToReference(const TensorView& got, const ReferenceScores& reference, int64_t d);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_REFERENCE_H_
