#ifndef QKSERVE_CORE_KERNELS_ELEMENT_CONVERSION_H_
#define QKSERVE_CORE_KERNELS_ELEMENT_CONVERSION_H_

#include <cstddef>
#include <cstdint>

#include "qkserve/tensor.h"

namespace qkserve {

// Conversions between float32 and the 16-bit element types, vectorised for the CPU at hand. Both
// directions keep subnormals, infinities and NaN, but may change the payload of a NaN.

// Widens `count` elements of type `type` to float32, exactly. float32 elements are copied.
void ConvertToFloat32(DataType type, const std::byte* from, int64_t count, float* to);

// Narrows `count` elements to `type`, rounding to nearest, ties to even. Numbers beyond the range
// of float16 become infinity.
void ConvertFromFloat32(DataType type, const float* from, int64_t count, std::byte* to);

// Replaces every NaN by the NaN of nan_bits.h.
void UnifyNan(float* values, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_ELEMENT_CONVERSION_H_
