#ifndef QKSERVE_BASE_FLOAT16_H_
#define QKSERVE_BASE_FLOAT16_H_

#include <cstdint>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// Returns the exact value of an IEEE 754 binary16. It is meant for single elements, for example in
// a display. core/kernels/element_conversion.h converts many elements at once, to the same values.
float Float16ToFloat(uint16_t bits);

// Returns the elements of a tensor as float32. The tensor's shape must be valid (ElementCount).
std::vector<float> ElementsAsFloat(const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_BASE_FLOAT16_H_
