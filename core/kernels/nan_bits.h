#ifndef QKSERVE_CORE_KERNELS_NAN_BITS_H_
#define QKSERVE_CORE_KERNELS_NAN_BITS_H_

#include <cstdint>

#include "hwy/detect_compiler_arch.h"
#include "qkserve/tensor.h"

namespace qkserve {

// NaN has many bit patterns. IEEE 754 does not say which pattern the sum of two NaNs has, and
// compilers swap operands. So the kernels for 1 row and for 6 rows could give different patterns.
// Queries and packed keys therefore contain only one NaN: the NaN that the CPU's arithmetic makes
// from infinities.
struct NanBits {
  uint32_t magnitude;  // mask of all bits except the sign
  uint32_t infinity;   // larger magnitudes are NaN
  uint32_t nan;
};

constexpr NanBits NanBitsOf(DataType type) {
  const bool is_negative = HWY_ARCH_X86 != 0;
  switch (type) {
    case DataType::kFloat16:
      return {0x7FFF, 0x7C00, is_negative ? 0xFE00U : 0x7E00U};
    case DataType::kBfloat16:
      return {0x7FFF, 0x7F80, is_negative ? 0xFFC0U : 0x7FC0U};
    default:
      return {0x7FFFFFFF, 0x7F800000, is_negative ? 0xFFC00000U : 0x7FC00000U};
  }
}

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_NAN_BITS_H_
