#ifndef QKSERVE_TESTS_SUPPORT_RANDOM_TENSOR_H_
#define QKSERVE_TESTS_SUPPORT_RANDOM_TENSOR_H_

#include <cstdint>
#include <vector>

#include "qkserve/tensor.h"

namespace qkserve {

// Elements with a standard normal distribution, rounded to `type`. The same seed gives the same
// bits.
Tensor RandomTensor(DataType type, const Shape& shape, uint64_t seed);

// The tensor's elements as float32, for any type.
std::vector<float> ToFloats(const TensorView& tensor);

// Memory for `shape`, uninitialised.
Tensor EmptyTensor(DataType type, const Shape& shape);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_RANDOM_TENSOR_H_
