#ifndef QKSERVE_BASE_ROUND_STEP_H_
#define QKSERVE_BASE_ROUND_STEP_H_

#include <cmath>

namespace qkserve {

// Returns the distance between the ticks of an axis: the smallest number that is at least `rough`
// and is 1, 2 or 5 times a power of ten. `rough` must be positive and finite.
inline double RoundStep(double rough) {
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= rough * (1 - 1e-9)) return power * factor;
  }
  return power * 10;
}

}  // namespace qkserve

#endif  // QKSERVE_BASE_ROUND_STEP_H_
