// Context: the mean of the values, weighted by softmax. Each split of the keys has sums of its own
// (online_softmax.h); the last part of a block merges them from the first key to the last.

#include "core/kernels/panels.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

// Merging a split: for each column, and for its maximum and sum.
constexpr int64_t kMergeMultiplyAdds = 25;
constexpr int64_t kMergeSumMultiplyAdds = 1'500;

// The sums of the group's rows in a split.
ContextRows SumsOf(const RowGroup& group, int64_t split) {
  const auto rows = static_cast<int64_t>(group.rows.size());
  const int64_t dv = group.source.sizes().dv;
  const int64_t stride = PaddedColumns(dv);
  return {group.block_state + split * ContextRows::SumBytes(rows, stride),
          group.seldom_state + split * ContextRows::InfinityBytes(rows, stride), rows, dv, stride};
}

class Context final : public RowReducer {
 public:
  int64_t ResultColumns(const AttentionProblem& /*problem*/, const KeySizes& sizes) const override {
    return sizes.dv;
  }
  bool ReadsValues() const override { return true; }
  int64_t FinishMultiplyAdds(const AttentionProblem& /*problem*/, const KeySizes& sizes,
                             const KeySplits& splits) const override {
    return kRowMultiplyAdds +
           splits.count * (kMergeMultiplyAdds * PaddedColumns(sizes.dv) + kMergeSumMultiplyAdds);
  }
  int64_t StateBytes(const AttentionProblem& /*problem*/, const KeySizes& sizes,
                     const StateExtent& extent) const override {
    if (extent.is_scratch) return 0;
    return extent.splits * ContextRows::BytesFor(extent.rows, PaddedColumns(sizes.dv));
  }

  int64_t BlockBytes(const RowGroup& group) const override {
    return group.splits.count * ContextRows::SumBytes(static_cast<int64_t>(group.rows.size()),
                                                      PaddedColumns(group.source.sizes().dv));
  }
  int64_t SeldomBytes(const RowGroup& group) const override {
    return group.splits.count * ContextRows::InfinityBytes(static_cast<int64_t>(group.rows.size()),
                                                           PaddedColumns(group.source.sizes().dv));
  }

  void BeginSplit(const RowGroup& group, int64_t split) const override {
    const ContextRows sums = SumsOf(group, split);
    for (size_t i = 0; i < group.rows.size(); ++i) sums.Row(static_cast<int64_t>(i)).Clear();
  }

  void Take(const RowGroup& group, int64_t split, const Step& step) const override {
    const ContextRows sums = SumsOf(group, split);
    const auto rows = static_cast<int64_t>(group.rows.size());
    for (int64_t i = 0; i < rows; ++i) {
      float* const scores = step.Staged(i, group.rows[static_cast<size_t>(i)]);
      sums.Row(i).Weigh(scores, step.Count());
    }
    group.source.AddWeightedValues(step.products, step.stride, rows, group.matrix, step.keys,
                                   {.out = sums.out(),
                                    .stride = PaddedColumns(group.source.sizes().dv),
                                    .infinities = sums.infinities()});
  }

  void Finish(const RowGroup& group) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const BlockRow& row = group.rows[i];
      const ScoreRequest& request = *row.request;
      const ContextRow merged = SumsOf(group, 0).Row(static_cast<int64_t>(i));
      for (int64_t split = 1; split < group.splits.count; ++split) {
        merged.Merge(SumsOf(group, split).Row(static_cast<int64_t>(i)));
      }
      const float log_sum_exp =
          merged.Finish(request.problem.result_type, ResultOf(row, group.source.sizes().dv));
      if (request.results.log_sum_exp != nullptr) {
        request.results.log_sum_exp[row.result_row] = log_sum_exp;
      }
    }
  }
};

}  // namespace

const RowReducer& ContextReducer() {
  static const Context reducer;
  return reducer;
}

}  // namespace qkserve
