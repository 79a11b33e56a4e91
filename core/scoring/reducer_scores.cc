// Scores, capped and masked scores: written as they come.

#include "core/kernels/element_conversion.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

class Scores final : public RowReducer {
 public:
  int64_t ResultColumns(const AttentionProblem& /*problem*/, const KeySizes& sizes) const override {
    return sizes.m;
  }
  bool NeedsAllScores() const override { return true; }
  int64_t FinishMultiplyAdds(const AttentionProblem& /*problem*/, const KeySizes& /*sizes*/,
                             const KeySplits& /*splits*/) const override {
    return kRowMultiplyAdds;
  }

  void Take(const RowGroup& group, int64_t /*split*/, const Step& step) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const BlockRow& row = group.rows[i];
      const float* const scores = step.Staged(static_cast<int64_t>(i), row);
      const DataType type = row.request->problem.result_type;
      ConvertFromFloat32(
          type, scores, step.Count(),
          ResultOf(row, group.source.sizes().m) + step.keys.begin * ElementBytes(type));
    }
  }

  void Finish(const RowGroup& /*group*/) const override {}
};

}  // namespace

const RowReducer& ScoresReducer() {
  static const Scores reducer;
  return reducer;
}

}  // namespace qkserve
