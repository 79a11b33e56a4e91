#include "bench/tensors.h"

#include "absl/strings/str_format.h"

namespace qkserve::bench {

float* StartMatrix(v1::DataType type, int64_t rows, int64_t columns, v1::Tensor* matrix) {
  matrix->set_data_type(type);
  matrix->add_shape(rows);
  matrix->add_shape(columns);
  matrix->mutable_data()->resize(static_cast<size_t>(rows * columns) * sizeof(float));
  return reinterpret_cast<float*>(matrix->mutable_data()->data());
}

v1::Tensor RandomMatrix(int64_t rows, int64_t columns, std::mt19937_64& random) {
  v1::Tensor tensor;
  float* const elements = StartMatrix(v1::FLOAT32, rows, columns, &tensor);
  std::normal_distribution<float> normal;
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
