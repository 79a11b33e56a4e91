#include "bench/workload.h"

#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qkserve::bench {
namespace {

constexpr int kSampledScores = 1000;

void FillTensor(int64_t rows, int64_t columns, std::mt19937_64& random, v1::Tensor* tensor) {
  tensor->set_data_type(v1::FLOAT32);
  tensor->add_shape(rows);
  tensor->add_shape(columns);
  std::normal_distribution<float> normal;
  std::string* data = tensor->mutable_data();
  data->resize(static_cast<size_t>(rows * columns) * sizeof(float));
  auto* elements = reinterpret_cast<float*>(data->data());
  for (int64_t i = 0; i < rows * columns; ++i) elements[i] = normal(random);
}

}  // namespace

absl::Span<const Workload> AllWorkloads() {
  static const auto* workloads = new std::vector<Workload>{
      {"tiny", 1, 16, 64, 64},
      {"inline-small", 16, 128, 64, 64},
      {"inline-large", 128, 4096, 256, 8},
      {"inline-square", 1024, 1024, 1024, 8},
  };
  return *workloads;
}

v1::ScoreRequest MakeRequest(const Workload& workload, uint64_t seed) {
  std::mt19937_64 random(seed);
  v1::ScoreRequest request;
  FillTensor(workload.n, workload.d, random, request.mutable_queries());
  FillTensor(workload.m, workload.d, random, request.mutable_inline_()->mutable_keys());
  return request;
}

absl::Span<const float> Floats(const v1::Tensor& tensor) {
  return {reinterpret_cast<const float*>(tensor.data().data()),
          tensor.data().size() / sizeof(float)};
}

absl::Status CheckScores(const v1::ScoreRequest& request, const v1::ScoreResponse& response) {
  const v1::Tensor& result = response.result();
  const int64_t n = request.queries().shape(0);
  const int64_t d = request.queries().shape(1);
  const int64_t m = request.inline_().keys().shape(0);
  const absl::Span<const float> scores = Floats(result);
  if (result.data_type() != v1::FLOAT32 || result.shape_size() != 2 || result.shape(0) != n ||
      result.shape(1) != m || static_cast<int64_t>(scores.size()) != n * m) {
    return absl::InternalError(absl::StrFormat("the result is not FLOAT32 [%d, %d]", n, m));
  }
  const absl::Span<const float> queries = Floats(request.queries());
  const absl::Span<const float> keys = Floats(request.inline_().keys());
  const double du = static_cast<double>(d) * std::ldexp(1.0, -24);
  const double gamma = du / (1 - du);
  std::mt19937_64 random(1);
  for (int sample = 0; sample < kSampledScores; ++sample) {
    const int64_t row = std::uniform_int_distribution<int64_t>(0, n - 1)(random);
    const int64_t column = std::uniform_int_distribution<int64_t>(0, m - 1)(random);
    double exact = 0;
    double magnitude = 0;
    for (int64_t i = 0; i < d; ++i) {
      const double product =
          static_cast<double>(queries[row * d + i]) * static_cast<double>(keys[column * d + i]);
      exact += product;
      magnitude += std::abs(product);
    }
    const double error = std::abs(scores[row * m + column] - exact);
    if (!(error <= 2 * gamma * magnitude)) {
      return absl::InternalError(
          absl::StrFormat("score [%d, %d] is %g, expected %g: off by %g, allowed are %g", row,
                          column, scores[row * m + column], exact, error, 2 * gamma * magnitude));
    }
  }
  return absl::OkStatus();
}

}  // namespace qkserve::bench
