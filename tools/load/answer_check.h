#ifndef QKSERVE_TOOLS_LOAD_ANSWER_CHECK_H_
#define QKSERVE_TOOLS_LOAD_ANSWER_CHECK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"

namespace qkserve {

// A matrix of the values that the server computes with.
struct FloatMatrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<float> elements;

  absl::Span<const float> Row(int64_t row) const {
    return absl::MakeConstSpan(elements).subspan(static_cast<size_t>(row * columns),
                                                 static_cast<size_t>(columns));
  }
};

// Returns `value` as a key set keeps it in `storage`: rounded to nearest, ties to even.
float RoundedTo(DataType storage, float value);

// A row of an answer.
struct AnswerRow {
  Output output = Output::kScores;
  absl::Span<const float> elements;  // as many as AnswerColumns returns
  absl::Span<const int32_t> keys;    // of the top k; empty for other outputs
};

// Returns the number of elements in a row of an answer: for `m` keys, with values of `dv` elements.
int64_t AnswerColumns(Output output, int64_t top_k, int64_t m, int64_t dv);

// Computes the row in float64 and compares it with `row`. The bounds are
// - of scores: 2 * gamma_d * sum |q_i * k_i| with gamma_d = d * u / (1 - d * u) and u = 2^-24. This
//   is twice the bound for any order of summation (Higham, Accuracy and Stability of Numerical
//   Algorithms, section 3.1).
// - of weights and context: the errors of scores carried through the softmax, plus the errors of
//   sums over the keys. The bound of n independent rounding errors is taken as 6 * sqrt(n) * u
//   (Higham and Mary 2019).
// If a row has very many scores, only some are compared. `seed` chooses them.
//
// Returns OK, or INTERNAL with a message such as "key 12: got 1.5, expected 1.25, bound 3e-06".
absl::Status CheckAnswerRow(const AnswerRow& row, absl::Span<const float> query,
                            const FloatMatrix& keys, const FloatMatrix* values, uint64_t seed);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_ANSWER_CHECK_H_
