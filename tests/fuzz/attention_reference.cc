#include "tests/fuzz/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/matrix_dims.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool Broadcasts(int64_t a, int64_t b) { return a == b || a == 1 || b == 1; }

bool MaskFits(const AttentionProblem& problem, const MatrixDims& q, const MatrixDims& k) {
  const Shape& mask = problem.mask->shape;
  const size_t rank = problem.queries.shape.size();
  if (mask.empty() || mask.size() > rank || mask.back() > k.rows) return false;
  Shape result = {Joined(q.batch, k.batch), Joined(q.heads, k.heads), q.rows, k.rows};
  if (rank == 3) result.erase(result.begin() + 1);
  if (rank == 2) result.erase(result.begin(), result.begin() + 2);
  for (size_t i = 0; i + 1 < mask.size(); ++i) {
    const int64_t size = result[result.size() - mask.size() + i];
    if (mask[i] != 1 && mask[i] != size) return false;
  }
  return true;
}

// The number that the mask adds to the score of row (b, h, i) and key j. It is -infinity if the
// mask excludes the key.
double Bias(const TensorView& mask, const std::vector<float>& elements, size_t rank, int64_t b,
            int64_t h, int64_t i, int64_t j) {
  if (j >= mask.shape.back()) return -kInfinity;
  Shape index = {b, h, i, j};
  if (rank == 3) index.erase(index.begin() + 1);
  if (rank == 2) index.erase(index.begin(), index.begin() + 2);
  index.erase(index.begin(), index.end() - static_cast<int64_t>(mask.shape.size()));
  int64_t at = 0;
  for (size_t k = 0; k < index.size(); ++k) {
    at = at * mask.shape[k] + (mask.shape[k] == 1 && k + 1 < index.size() ? 0 : index[k]);
  }
  if (mask.data_type == DataType::kBool) {
    return mask.data[at] != std::byte{0} ? 0.0 : -kInfinity;
  }
  return static_cast<double>(elements[static_cast<size_t>(at)]);
}

bool IsAllowed(const AttentionProblem& problem, int64_t b, int64_t i, int64_t j, int64_t n) {
  int64_t offset = problem.offset;
  if (!problem.key_lengths.empty()) {
    const int64_t length = problem.key_lengths[static_cast<size_t>(b)];
    if (j >= length) return false;
    offset = length - n;
  }
  const int64_t distance = j - (i + offset);
  if (problem.is_causal && distance > 0) return false;
  if (problem.window_left >= 0 && distance < -problem.window_left) return false;
  return problem.window_right < 0 || distance <= problem.window_right;
}

void Weigh(ReferenceRow& row) {
  double top = -kInfinity;
  for (const double score : row.scores) top = std::max(top, score);
  double total = 0;
  row.weights.assign(row.scores.size(), 0.0);
  for (size_t j = 0; j < row.scores.size(); ++j) {
    if (row.scores[j] != -kInfinity) row.weights[j] = std::exp(row.scores[j] - top);
    total += row.weights[j];
  }
  row.log_sum_exp = total == 0 ? -kInfinity : top + std::log(total);
  for (double& weight : row.weights) weight /= total == 0 ? 1 : total;
}

}  // namespace

bool IsValid(const AttentionProblem& problem, bool has_offset, bool log_sum_exp) {
  const MatrixDims q(problem.queries.shape);
  const MatrixDims k(problem.keys.shape);
  const bool is_top_k = problem.output == Output::kTopK;
  const bool is_context = problem.output == Output::kContext;
  if (is_top_k ? problem.top_k < 1 : problem.top_k != 0) return false;
  if (log_sum_exp && !is_context && problem.output != Output::kWeights) return false;
  if (problem.window_left < -1 || problem.window_right < -1) return false;
  if (problem.queries.shape.size() != problem.keys.shape.size() || q.width != k.width ||
      !Broadcasts(q.batch, k.batch)) {
    return false;
  }
  if (!Broadcasts(q.heads, k.heads) && (k.heads == 0 || q.heads % k.heads != 0)) return false;
  if (!problem.key_lengths.empty()) {
    if (has_offset ||
        static_cast<int64_t>(problem.key_lengths.size()) != Joined(q.batch, k.batch)) {
      return false;
    }
    for (const int64_t length : problem.key_lengths) {
      if (length < 0 || length > k.rows) return false;
    }
  }
  if (problem.mask.has_value() && !MaskFits(problem, q, k)) return false;
  if (problem.values.has_value() != is_context) return false;
  return !is_context || (problem.values->shape.size() == problem.keys.shape.size() &&
                         std::equal(problem.keys.shape.begin(), problem.keys.shape.end() - 1,
                                    problem.values->shape.begin()));
}

std::vector<ReferenceRow> ComputeRows(const AttentionProblem& problem) {
  const MatrixDims q(problem.queries.shape);
  const MatrixDims k(problem.keys.shape);
  const std::vector<float> queries = ToFloats(problem.queries);
  const std::vector<float> keys = ToFloats(problem.keys);
  std::vector<float> mask;
  if (problem.mask.has_value() && problem.mask->data_type != DataType::kBool) {
    mask = ToFloats(*problem.mask);
  }
  const bool is_masked = problem.output > Output::kCapped;
  const int64_t batch = Joined(q.batch, k.batch);
  const int64_t heads = Joined(q.heads, k.heads);
  std::vector<ReferenceRow> rows;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t q_matrix = (q.batch == 1 ? 0 : b) * q.heads + (q.heads == 1 ? 0 : h);
      const int64_t k_head = k.heads == 1 ? 0 : h / (heads / k.heads);
      const int64_t k_matrix = (k.batch == 1 ? 0 : b) * k.heads + k_head;
      for (int64_t i = 0; i < q.rows; ++i) {
        ReferenceRow& row = rows.emplace_back();
        row.key_matrix = k_matrix;
        for (int64_t j = 0; j < k.rows; ++j) {
          double score = 0;
          for (int64_t p = 0; p < q.width; ++p) {
            score += static_cast<double>(
                         queries[static_cast<size_t>((q_matrix * q.rows + i) * q.width + p)]) *
                     static_cast<double>(
                         keys[static_cast<size_t>((k_matrix * k.rows + j) * q.width + p)]);
          }
          score *= static_cast<double>(problem.scale);
          const auto cap = static_cast<double>(problem.softcap);
          if (problem.output != Output::kScores && cap > 0) score = cap * std::tanh(score / cap);
          if (is_masked) {
            const double bias =
                problem.mask.has_value()
                    ? Bias(*problem.mask, mask, problem.queries.shape.size(), b, h, i, j)
                    : 0.0;
            const bool is_dead = bias == -kInfinity || !IsAllowed(problem, b, i, j, q.rows);
            score = is_dead ? -kInfinity : score + bias;
          }
          row.scores.push_back(score);
        }
        Weigh(row);
      }
    }
  }
  return rows;
}

}  // namespace qkserve
