// Weights: the softmax of a row, which needs all of its masked scores. They are gathered where the
// weights go, or, if the weights are narrowed, in state that the parts of the block share.

#include <algorithm>

#include "core/kernels/element_conversion.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

// Softmax of a score takes about 1.5 ns.
constexpr int64_t kSoftmaxMultiplyAdds = 75;
constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

bool IsNarrowed(const AttentionProblem& problem) {
  return problem.result_type != DataType::kFloat32;
}

float* WeightsOf(const BlockRow& row) { return reinterpret_cast<float*>(row.state); }

class Weights final : public RowReducer {
 public:
  int64_t ResultColumns(const AttentionProblem& /*problem*/, const KeySizes& sizes) const override {
    return sizes.m;
  }
  int64_t FinishMultiplyAdds(const AttentionProblem& /*problem*/, const KeySizes& sizes,
                             const KeySplits& /*splits*/) const override {
    return kRowMultiplyAdds + kSoftmaxMultiplyAdds * sizes.m;
  }
  int64_t StateBytes(const AttentionProblem& problem, const KeySizes& sizes,
                     const StateExtent& extent) const override {
    if (!IsNarrowed(problem) || extent.is_scratch) return 0;
    return extent.rows * sizes.m * kFloatBytes;
  }

  int64_t BlockBytes(const RowGroup& group) const override {
    int64_t rows = 0;
    for (const BlockRow& row : group.rows) rows += IsNarrowed(row.request->problem) ? 1 : 0;
    return rows * group.source.sizes().m * kFloatBytes;
  }

  void Begin(const RowGroup& group) const override {
    const int64_t m = group.source.sizes().m;
    std::byte* next = group.block_state;
    for (BlockRow& row : group.rows) {
      if (IsNarrowed(row.request->problem)) {
        row.state = next;
        next += m * kFloatBytes;
      } else {
        row.state = ResultOf(row, m);
      }
    }
  }

  void Skip(const RowGroup& group, KeyRange keys) const override {
    for (const BlockRow& row : group.rows) {
      std::fill(WeightsOf(row) + keys.begin, WeightsOf(row) + keys.end, kNotAttended);
    }
  }

  float* PlaceOf(const RowGroup& group, int64_t key) const override {
    return WeightsOf(group.rows.front()) + key;
  }

  void Take(const RowGroup& group, int64_t /*split*/, const Step& step) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const float* const scores = step.Staged(static_cast<int64_t>(i), group.rows[i]);
      float* const weights = WeightsOf(group.rows[i]) + step.keys.begin;
      if (scores != weights) std::copy_n(scores, step.Count(), weights);
    }
  }

  void Finish(const RowGroup& group) const override {
    const int64_t m = group.source.sizes().m;
    for (const BlockRow& row : group.rows) {
      const ScoreRequest& request = *row.request;
      const float log_sum_exp = Softmax(WeightsOf(row), m);
      if (request.results.log_sum_exp != nullptr) {
        request.results.log_sum_exp[row.result_row] = log_sum_exp;
      }
      if (IsNarrowed(request.problem)) {
        ConvertFromFloat32(request.problem.result_type, WeightsOf(row), m, ResultOf(row, m));
      }
    }
  }
};

}  // namespace

const RowReducer& WeightsReducer() {
  static const Weights reducer;
  return reducer;
}

}  // namespace qkserve
