#ifndef QKSERVE_CLIENT_FLOAT16_H_
#define QKSERVE_CLIENT_FLOAT16_H_

#include <cstdint>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// The value of an IEEE 754 binary16, exactly. For display; the server converts with its own
// kernels.
float Float16ToFloat(uint16_t bits);

// The elements of a tensor as float32. Its shape must be valid (ElementCount).
std::vector<float> ElementsAsFloat(const TensorView& tensor);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_FLOAT16_H_
