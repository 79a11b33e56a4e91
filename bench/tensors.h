#ifndef QKSERVE_BENCH_TENSORS_H_
#define QKSERVE_BENCH_TENSORS_H_

#include <cstdint>
#include <random>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "qkserve/v1/tensor.pb.h"

namespace qkserve::bench {

// Gives the tensor a type, a shape and memory. Elements of the type must have 4 bytes. Returns the
// elements, which the caller must write.
float* StartMatrix(v1::DataType type, int64_t rows, int64_t columns, v1::Tensor* matrix);

// Returns FLOAT32 [rows, columns] from a standard normal distribution.
v1::Tensor RandomMatrix(int64_t rows, int64_t columns, std::mt19937_64& random);

// Floats returns the elements of a FLOAT32 tensor. Ints returns the elements of an INT32 tensor.
absl::Span<const float> Floats(const v1::Tensor& tensor);
absl::Span<const int32_t> Ints(const v1::Tensor& tensor);

// True if `spec`, a tensor or its announcement, has the type FLOAT32 and rank 2 and is not empty.
bool IsFloatMatrix(const auto& spec) {
  return spec.data_type() == v1::FLOAT32 && spec.shape_size() == 2 && spec.shape(0) > 0 &&
         spec.shape(1) > 0;
}

// Returns INTERNAL if the tensor has another type, shape or number of bytes.
absl::Status CheckMatrix(const v1::Tensor& tensor, v1::DataType type, int64_t rows,
                         int64_t columns);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_TENSORS_H_
