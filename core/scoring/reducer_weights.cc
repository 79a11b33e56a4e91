// Weights: the softmax of a row, which needs all masked scores of the row. The scores are gathered
// in the result if it is float32. Otherwise they are gathered in state that all parts of the block
// share.

#include <algorithm>

#include "core/kernels/element_conversion.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

// The softmax of a score takes about 1.5 ns.
constexpr int64_t kSoftmaxMultiplyAdds = 75;
constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

bool IsNarrowed(const AttentionProblem& problem) {
  return problem.result_type != DataType::kFloat32;
}

float* WeightsOf(const BlockRow& row) { return reinterpret_cast<float*>(row.state); }

class Weights final : public RowReducer {
 public:
  RowCost CostOf(const AttentionProblem& /*problem*/, const KeySource& source) const override {
    return {.finish = kRowMultiplyAdds + kSoftmaxMultiplyAdds * source.sizes().m};
  }
  int64_t StateBytes(const AttentionProblem& problem, const KeySource& source,
                     int64_t rows) const override {
    if (!IsNarrowed(problem) || source.key_cut().is_scratch) return 0;
    return rows * source.sizes().m * kFloatBytes;
  }

  int64_t BlockBytes(const RowGroup& group) const override {
    const auto narrowed =
        std::count_if(group.rows.begin(), group.rows.end(),
                      [](const BlockRow& row) { return IsNarrowed(row.request->problem); });
    return narrowed * group.source.sizes().m * kFloatBytes;
  }

  void Begin(const RowGroup& group) const override {
    const int64_t m = group.source.sizes().m;
    std::byte* next = group.block_state;
    for (BlockRow& row : group.rows) {
      const bool is_narrowed = IsNarrowed(row.request->problem);
      row.state = is_narrowed ? next : ResultOf(row, m);
      if (is_narrowed) next += m * kFloatBytes;
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
      const float* const scores = step.Staged(i, group.rows[i]);
      float* const weights = WeightsOf(group.rows[i]) + step.keys.begin;
      if (scores != weights) std::copy_n(scores, step.Count(), weights);
    }
  }

  void Finish(const RowGroup& group) const override {
    const int64_t m = group.source.sizes().m;
    for (const BlockRow& row : group.rows) {
      const AttentionProblem& problem = row.request->problem;
      WriteLogSumExp(row, Softmax(WeightsOf(row), m));
      if (!IsNarrowed(problem)) continue;
      ConvertFromFloat32(problem.result_type, WeightsOf(row), m, ResultOf(row, m));
    }
  }
};

}  // namespace

const RowReducer& WeightsReducer() {
  static const Weights reducer;
  return reducer;
}

}  // namespace qkserve
