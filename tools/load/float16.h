#ifndef QKSERVE_TOOLS_LOAD_FLOAT16_H_
#define QKSERVE_TOOLS_LOAD_FLOAT16_H_

#include <cstdint>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// The exact value of an IEEE 754 binary16.
float Float16ToFloat(uint16_t bits);

// The elements of a tensor as float32. Its shape must be valid (ElementCount).
std::vector<float> ElementsAsFloat(const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_FLOAT16_H_
