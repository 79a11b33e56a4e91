#include "base/float16.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace qkserve {
namespace {

template <typename T>
T Load(const std::byte* data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

float Element(const TensorView& tensor, int64_t index) {
  switch (tensor.data_type) {
    case DataType::kFloat32:
      return Load<float>(tensor.data, index);
    case DataType::kFloat16:
      return Float16ToFloat(Load<uint16_t>(tensor.data, index));
    case DataType::kBfloat16:
      return std::bit_cast<float>(uint32_t{Load<uint16_t>(tensor.data, index)} << 16);
    case DataType::kBool:
      return Load<uint8_t>(tensor.data, index) != 0 ? 1.0F : 0.0F;
    case DataType::kInt32:
      return static_cast<float>(Load<int32_t>(tensor.data, index));
  }
  return std::nanf("");
}

}  // namespace

float Float16ToFloat(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = bits >> 10 & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  // Subnormal numbers are multiples of 2^-24.
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign == 0 ? magnitude : -magnitude;
  }
  // Infinity and NaN keep an exponent of all ones. Other exponents change their bias from 15 to
  // 127.
  const uint32_t wide_exponent = exponent == 0x1f ? 0xff : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

std::vector<float> ElementsAsFloat(const TensorView& tensor) {
  std::vector<float> elements(ElementCount(tensor.shape).value_or(0));
  for (size_t i = 0; i < elements.size(); ++i) {
    elements[i] = Element(tensor, static_cast<int64_t>(i));
  }
  return elements;
}

}  // namespace qkserve
