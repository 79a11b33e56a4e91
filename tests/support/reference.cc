#include "tests/support/reference.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/support/matrix_dims.h"
#include "tests/support/random_tensor.h"

namespace qkserve {

ReferenceScores ComputeReference(const TensorView& queries, const TensorView& keys, double scale) {
  const MatrixDims q(queries.shape);
  const MatrixDims k(keys.shape);
  const std::vector<float> q_values = ToFloats(queries);
  const std::vector<float> k_values = ToFloats(keys);
  const int64_t batch = Joined(q.batch, k.batch);
  const int64_t heads = Joined(q.heads, k.heads);

  ReferenceScores result;
  if (queries.shape.size() > 2) result.shape.push_back(batch);
  if (queries.shape.size() > 3) result.shape.push_back(heads);
  result.shape.push_back(q.rows);
  result.shape.push_back(k.rows);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t q_matrix = (q.batch == 1 ? 0 : b) * q.heads + (q.heads == 1 ? 0 : h);
      const int64_t k_head = k.heads == 1 ? 0 : h / (heads / k.heads);
      const int64_t k_matrix = (k.batch == 1 ? 0 : b) * k.heads + k_head;
      for (int64_t i = 0; i < q.rows; ++i) {
        for (int64_t j = 0; j < k.rows; ++j) {
          double sum = 0;
          double magnitude = 0;
          for (int64_t p = 0; p < q.width; ++p) {
            const double product =
                static_cast<double>(q_values[(q_matrix * q.rows + i) * q.width + p]) *
                static_cast<double>(k_values[(k_matrix * k.rows + j) * q.width + p]);
            sum += product;
            magnitude += std::fabs(product);
          }
          result.scores.push_back(scale * sum);
          result.magnitudes.push_back(std::fabs(scale) * magnitude);
        }
      }
    }
  }
  return result;
}

double ScoreBound(double exact, double magnitude, int64_t d, DataType result_type) {
  const double u = std::ldexp(1.0, -24);
  const double du = static_cast<double>(d) * u;
  double bound = 2 * du / (1 - du) * magnitude + 4 * u * std::fabs(exact);
  // Adds half a unit in the last place. float16 has 11 significant bits for magnitudes from 2⁻¹⁴
  // on. bfloat16 has 8 from 2⁻¹²⁶ on.
  const double reached = std::fabs(exact) + bound;
  if (result_type == DataType::kFloat16) {
    bound += std::ldexp(std::max(reached, std::ldexp(1.0, -14)), -11);
  } else if (result_type == DataType::kBfloat16) {
    bound += std::ldexp(reached, -8);
  }
  return bound;
}

std::string CompareToReference(const TensorView& got, const ReferenceScores& reference, int64_t d) {
  if (got.shape != reference.shape) {
    return absl::StrCat("got shape ", ShapeString(got.shape), ", expected ",
                        ShapeString(reference.shape));
  }
  const std::vector<float> values = ToFloats(got);
  for (size_t i = 0; i < values.size(); ++i) {
    const double exact = reference.scores[i];
    const double value = static_cast<double>(values[i]);
    bool fits = false;
    if (std::isnan(exact)) {
      fits = std::isnan(value);
    } else if (std::isinf(exact)) {
      fits = value == exact;
    } else {
      fits =
          std::fabs(value - exact) <= ScoreBound(exact, reference.magnitudes[i], d, got.data_type);
    }
    if (!fits) return absl::StrCat("element ", i, ": got ", value, ", expected ", exact);
  }
  return "";
}

}  // namespace qkserve
