#include "tests/support/random_tensor.h"

#include <random>
#include <utility>

#include "core/kernels/element_conversion.h"

namespace qkserve {

Tensor EmptyTensor(DataType type, const Shape& shape) {
  Tensor tensor;
  tensor.data_type = type;
  tensor.shape = shape;
  tensor.data =
      Buffer::Allocate(static_cast<size_t>(ElementCount(shape).value() * ElementBytes(type)))
          .value();
  return tensor;
}

Tensor RandomTensor(DataType type, const Shape& shape, uint64_t seed) {
  Tensor tensor = EmptyTensor(type, shape);
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(ElementCount(shape).value()));
  for (float& value : values) value = normal(random);
  if (!values.empty()) {
    ConvertFromFloat32(type, values.data(), static_cast<int64_t>(values.size()),
                       tensor.data.data());
  }
  return tensor;
}

std::vector<float> ToFloats(const TensorView& tensor) {
  std::vector<float> values(static_cast<size_t>(ElementCount(tensor.shape).value()));
  if (!values.empty()) {
    ConvertToFloat32(tensor.data_type, tensor.data, static_cast<int64_t>(values.size()),
                     values.data());
  }
  return values;
}

}  // namespace qkserve
