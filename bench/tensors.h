#ifndef QKSERVE_BENCH_TENSORS_H_
#define QKSERVE_BENCH_TENSORS_H_

#include <cstdint>
#include <random>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "qkserve/v1/tensor.pb.h"

namespace qkserve::bench {

// FLOAT32 [rows, columns] from a standard normal distribution.
v1::Tensor RandomMatrix(int64_t rows, int64_t columns, std::mt19937_64& random);

// The elements of a FLOAT32 or INT32 tensor's data.
absl::Span<const float> Floats(const v1::Tensor& tensor);
absl::Span<const int32_t> Ints(const v1::Tensor& tensor);

// INTERNAL: the tensor is not of this type and shape, or has not so many bytes.
absl::Status CheckMatrix(const v1::Tensor& tensor, v1::DataType type, int64_t rows,
                         int64_t columns);

// 2 * gamma_d with gamma_d = d * u / (1 - d * u), u = 2^-24: how far a float32 score may be from
// exact, beside sum |q_i * k_i|. Twice the bound that holds for any order of summation (Higham,
// Accuracy and Stability of Numerical Algorithms, section 3.1).
double ScoreErrorBound(double d);

// A score in float64, and how far a float32 score may be away.
struct ExactScore {
  double score = 0;
  double bound = 0;
};
ExactScore ComputeExactScore(absl::Span<const float> query, absl::Span<const float> key,
                             double scale = 1);

// INTERNAL: "is 1.5, expected 1.2 ...".
absl::Status CheckScore(double score, const ExactScore& exact);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_TENSORS_H_
