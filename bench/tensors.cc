#include "bench/tensors.h"

#include <string>

#include "absl/strings/str_format.h"

namespace qkserve::bench {

v1::Tensor RandomMatrix(int64_t rows, int64_t columns, std::mt19937_64& random) {
  v1::Tensor tensor;
  tensor.set_data_type(v1::FLOAT32);
  tensor.add_shape(rows);
  tensor.add_shape(columns);
  std::normal_distribution<float> normal;
  std::string* data = tensor.mutable_data();
  data->resize(static_cast<size_t>(rows * columns) * sizeof(float));
  auto* elements = reinterpret_cast<float*>(data->data());
  for (int64_t i = 0; i < rows * columns; ++i) elements[i] = normal(random);
  return tensor;
}

absl::Span<const float> Floats(const v1::Tensor& tensor) {
  return {reinterpret_cast<const float*>(tensor.data().data()),
          tensor.data().size() / sizeof(float)};
}

absl::Span<const int32_t> Ints(const v1::Tensor& tensor) {
  return {reinterpret_cast<const int32_t*>(tensor.data().data()),
          tensor.data().size() / sizeof(int32_t)};
}

absl::Status CheckMatrix(const v1::Tensor& tensor, v1::DataType type, int64_t rows,
                         int64_t columns) {
  if (tensor.data_type() == type && tensor.shape_size() == 2 && tensor.shape(0) == rows &&
      tensor.shape(1) == columns && Floats(tensor).size() == static_cast<size_t>(rows * columns)) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrFormat("a tensor is not %s [%d, %d]", v1::DataType_Name(type), rows, columns));
}

}  // namespace qkserve::bench
