#ifndef QKSERVE_BASE_FLOAT16_H_
#define QKSERVE_BASE_FLOAT16_H_

#include <cstdint>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// The value of an IEEE 754 binary16, exactly. For single elements, for example in a display.
// core/kernels/element_conversion.h converts many elements, to the same values.
float Float16ToFloat(uint16_t bits);

// The elements of a tensor as float32. Its shape must be valid (ElementCount).
std::vector<float> ElementsAsFloat(const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_BASE_FLOAT16_H_
