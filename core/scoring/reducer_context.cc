// Context: the mean of the values, weighted by softmax. Each split of the keys has its own sums
// (online_softmax.h). The last part of a block merges them in the order of the keys.

#include "core/kernels/panels.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

// The cost of merging a split, in multiply-adds: for each column, and for the maximum and sum.
constexpr int64_t kMergeMultiplyAdds = 25;
constexpr int64_t kMergeSumMultiplyAdds = 1'500;

// Returns the sums of the group's rows for a split.
ContextSums SumsOf(const RowGroup& group, int64_t split) {
  const int64_t rows = group.rows.size();
  const int64_t dv = group.source.sizes().dv;
  return ContextSumsAt(group.block_state + split * ContextSumBytes(rows, dv),
                       group.seldom_state + split * ContextInfinityBytes(rows, dv), rows, dv);
}

class Context final : public RowReducer {
 public:
  int64_t ResultColumns(const AttentionProblem& /*problem*/, const KeySizes& sizes) const override {
    return sizes.dv;
  }
  bool ReadsValues() const override { return true; }
  RowCost CostOf(const AttentionProblem& /*problem*/, const KeySource& source) const override {
    const int64_t merge =
        kMergeMultiplyAdds * PaddedColumns(source.sizes().dv) + kMergeSumMultiplyAdds;
    return {.finish = kRowMultiplyAdds + source.key_cut().splits * merge};
  }
  int64_t StateBytes(const AttentionProblem& /*problem*/, const KeySource& source,
                     int64_t rows) const override {
    const KeyCut& cut = source.key_cut();
    if (cut.is_scratch) return 0;
    const int64_t dv = source.sizes().dv;
    return cut.splits * (ContextSumBytes(rows, dv) + ContextInfinityBytes(rows, dv));
  }

  int64_t BlockBytes(const RowGroup& group) const override {
    return group.source.key_cut().splits *
           ContextSumBytes(group.rows.size(), group.source.sizes().dv);
  }
  int64_t SeldomBytes(const RowGroup& group) const override {
    return group.source.key_cut().splits *
           ContextInfinityBytes(group.rows.size(), group.source.sizes().dv);
  }

  void BeginSplit(const RowGroup& group, int64_t split) const override {
    const ContextSums sums = SumsOf(group, split);
    for (size_t i = 0; i < group.rows.size(); ++i) ClearContext(sums.From(i));
  }

  void Take(const RowGroup& group, int64_t split, const Step& step) const override {
    const ContextSums sums = SumsOf(group, split);
    for (size_t i = 0; i < group.rows.size(); ++i) {
      WeighScores(step.Staged(i, group.rows[i]), step.Count(), sums.From(i));
    }
    group.source.AddWeightedValues(step.products, step.stride, group.rows.size(), group.matrix,
                                   step.keys, sums);
  }

  void Finish(const RowGroup& group) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const BlockRow& row = group.rows[i];
      const ContextSums merged = SumsOf(group, 0).From(i);
      for (int64_t split = 1; split < group.source.key_cut().splits; ++split) {
        MergeContext(SumsOf(group, split).From(i), merged);
      }
      WriteLogSumExp(row, WriteContext(merged, row.request->problem.result_type,
                                       ResultOf(row, group.source.sizes().dv)));
    }
  }
};

}  // namespace

const RowReducer& ContextReducer() {
  static const Context reducer;
  return reducer;
}

}  // namespace qkserve
