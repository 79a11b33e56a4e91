#ifndef QKSERVE_CORE_SCORING_PROBLEM_H_
#define QKSERVE_CORE_SCORING_PROBLEM_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"

namespace qkserve {

struct ScoreShape;

// The input of a computation. Fields mean the same as in the messages Attention and ScoreRequest of
// qkserve.v1. All values are within their limits. The memory of the tensors must outlive the
// computation.
struct AttentionProblem {
  TensorView queries;                               // [.., n, d]
  TensorView keys;                                  // [.., m, d]
  std::optional<TensorView> values = std::nullopt;  // [.., m, dv]; for kContext

  float scale = 1.0F;
  float softcap = 0.0F;  // 0: none
  bool is_causal = false;
  int64_t window_left = -1;  // -1: no bound
  int64_t window_right = -1;
  int64_t offset = 0;
  absl::Span<const int64_t> key_lengths = {};     // one for each batch; empty: not set
  std::optional<TensorView> mask = std::nullopt;  // bool or float

  Output output = Output::kScores;
  DataType result_type = DataType::kFloat32;
  int64_t top_k = 0;  // for kTopK
};

// Memory for the results, aligned to their elements. A pointer is null if its result was not asked
// for.
struct AttentionResults {
  std::byte* result = nullptr;   // of the output's shape, and of result_type
  int32_t* indices = nullptr;    // [.., n, top_k]
  float* log_sum_exp = nullptr;  // [.., n]
};

// A request, and where its results go. The objects that it refers to must outlive the computation.
// For a request on a key set, `problem.keys` and `problem.values` are not read, because the set has
// them.
struct ScoreRequest {
  const AttentionProblem& problem;
  const ScoreShape& shape;  // shape of the queries and the keys
  AttentionResults results;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PROBLEM_H_
