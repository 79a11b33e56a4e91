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

constexpr int64_t kRowsMax = 64;

int64_t ResultColumns(const v1::ScoreRequest& request, const KnownKeySet& known) {
  if (request.output() == v1::TOP_K) return request.top_k();
  return request.output() == v1::CONTEXT ? known.values->columns : known.keys.rows;
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
  const int64_t columns = ResultColumns(request, known);
  const bool is_top = request.output() == v1::TOP_K;
  absl::Status status = CheckMatrix(response.result(), v1::FLOAT32, n, columns);
  if (is_top) status.Update(CheckMatrix(response.indices(), v1::INT32, n, columns));
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < std::min(n, kRowsMax) && status.ok(); ++i) {
    const int64_t row =
        n <= kRowsMax ? i : std::uniform_int_distribution<int64_t>(0, n - 1)(random);
    AnswerRow answer = {static_cast<Output>(request.output()),
                        Floats(response.result()).subspan(row * columns, columns),
                        {}};
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
