#ifndef QKSERVE_TESTS_SUPPORT_REFERENCE_H_
#define QKSERVE_TESTS_SUPPORT_REFERENCE_H_

#include <string>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// scale * Q·Kᵀ in float64, written as plainly as it is defined: the shapes' rules are spelled out
// anew here, not taken from the core.
struct ReferenceScores {
  Shape shape;
  std::vector<double> scores;
  // sum over d of |q·k|, times |scale|: what rounding errors scale with.
  std::vector<double> magnitudes;
};
ReferenceScores ComputeReference(const TensorView& queries, const TensorView& keys, double scale);

// How far a float32 score may be from `exact`: |scale| * 2 γ_d Σ|q k| + 4u|exact|, γ_d =
// d·u/(1−d·u), u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); for 16-bit
// results half a unit in their last place more.
double ScoreBound(double exact, double magnitude, int64_t d, DataType result_type);

// "" where `got` [.., n, m] is within the bound of the reference everywhere (NaN and infinities as
// IEEE says), else the first place where it is not.
std::string CompareToReference(const TensorView& got, const ReferenceScores& reference, int64_t d);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_REFERENCE_H_
