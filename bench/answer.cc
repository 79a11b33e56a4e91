#include "bench/answer.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/tensors.h"
#include "tools/load/verifier.h"

namespace qkserve::bench {
namespace {

// The most rows of an answer that are checked, and the most multiply-adds for their scores. These
// take about 2 s.
constexpr int64_t kRowsMax = 64;
constexpr int64_t kMultiplyAddsMax = int64_t{1} << 28;

int64_t CheckedRows(int64_t n, const FloatMatrix& keys) {
  const int64_t row = std::max<int64_t>(1, keys.rows * keys.columns);
  return std::min({n, kRowsMax, std::max<int64_t>(1, kMultiplyAddsMax / row)});
}

Output OutputOf(const v1::ScoreRequest& request) {
  return request.output() == v1::OUTPUT_UNSPECIFIED ? Output::kScores
                                                    : static_cast<Output>(request.output());
}

// Returns the query times the scale. The scores of this query are the scaled scores with one more
// rounding, which the bounds allow.
std::vector<float> ScaledQuery(const v1::ScoreRequest& request, int64_t row) {
  const int64_t d = request.queries().shape(1);
  const absl::Span<const float> query = Floats(request.queries()).subspan(row * d, d);
  std::vector<float> scaled(query.begin(), query.end());
  if (request.attention().has_scale()) {
    for (float& element : scaled) element *= request.attention().scale();
  }
  return scaled;
}

// Copies the elements of a FLOAT32 tensor of rank 2.
FloatMatrix ToMatrix(const v1::Tensor& tensor) {
  const absl::Span<const float> elements = Floats(tensor);
  return {tensor.shape(0), tensor.shape(1), {elements.begin(), elements.end()}};
}

absl::Status CheckResponse(const v1::ScoreRequest& request, const KnownKeySet& known,
                           const v1::ScoreResponse& response) {
  const int64_t n = request.queries().shape(0);
  const Output output = OutputOf(request);
  const int64_t columns = AnswerColumns(output, request.top_k(), known.keys.rows,
                                        known.values.has_value() ? known.values->columns : 0);
  const bool is_top = output == Output::kTopK;
  absl::Status status = CheckMatrix(response.result(), v1::FLOAT32, n, columns);
  if (is_top) status.Update(CheckMatrix(response.indices(), v1::INT32, n, columns));
  std::mt19937_64 random(1);
  const int64_t rows = CheckedRows(n, known.keys);
  for (int64_t i = 0; i < rows && status.ok(); ++i) {
    const int64_t row = n == rows ? i : std::uniform_int_distribution<int64_t>(0, n - 1)(random);
    AnswerRow answer = {output, Floats(response.result()).subspan(row * columns, columns), {}};
    if (is_top) answer.keys = Ints(response.indices()).subspan(row * columns, columns);
    status = CheckAnswerRow(answer, ScaledQuery(request, row), known.keys,
                            known.values.has_value() ? &*known.values : nullptr, 0);
    if (!status.ok()) return absl::InternalError(absl::StrCat("row ", row, ", ", status.message()));
  }
  return status;
}

}  // namespace

absl::Status CheckAnswer(const Contender& contender, const v1::ScoreRequest& request,
                         const v1::Tensor& keys, const v1::Tensor* values, std::string* kernel) {
  v1::ScoreResponse response;
  absl::Status status = contender.remote->Score(request, &response);
  if (status.ok() && contender.computes) {
    KnownKeySet known = {ToMatrix(keys), std::nullopt};
    if (values != nullptr) known.values = ToMatrix(*values);
    status = CheckResponse(request, known, response);
  }
  if (status.ok() && contender.name == kQkserveName) *kernel = response.receipt().kernel();
  return About(contender, status);
}

}  // namespace qkserve::bench
