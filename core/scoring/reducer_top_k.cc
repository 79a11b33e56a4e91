// Top k: the best scores of a row. They are the same in whatever order keys are offered, so each
// part keeps its own and hands them on.

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

#include "core/kernels/blas.h"
#include "core/scoring/fill_unattended.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/top_k.h"

namespace qkserve {
namespace {

// Keeping a score that is a new best, and sorting an entry (times the logarithm of k).
constexpr int64_t kKeepMultiplyAdds = 200;
constexpr int64_t kSortMultiplyAdds = 500;
constexpr auto kEntryBytes = static_cast<int64_t>(sizeof(TopEntry));

static_assert(std::is_trivially_destructible_v<TopK>);
TopK& BestOf(const BlockRow& row) { return *reinterpret_cast<TopK*>(row.state); }

// Rows of entries that a request holds at a time. If blocks have several parts, a part that runs
// has its own rows, and while it merges those of another part; a block keeps the rows of one part
// that has ended. A part that runs has a seat of TileScratch: there are BlasCallsMax().
int64_t RowsHeld(const StateExtent& extent) {
  const int64_t running = BlasCallsMax() * std::min(extent.rows, extent.block_rows);
  if (extent.is_scratch) return std::min(extent.rows, running);
  return std::min(extent.rows * extent.parts, extent.rows + 2 * running);
}

class TopKOfRows final : public RowReducer {
 public:
  int64_t ResultColumns(const AttentionProblem& problem, const KeySizes& /*sizes*/) const override {
    return problem.top_k;
  }
  int64_t KeyColumns(const AttentionProblem& problem, const KeySizes& sizes) const override {
    return std::min(problem.top_k, sizes.m);
  }
  float EmptyResult() const override { return kNotAttended; }
  int64_t KeepMultiplyAdds() const override { return kKeepMultiplyAdds; }
  int64_t FinishMultiplyAdds(const AttentionProblem& problem, const KeySizes& sizes,
                             const KeySplits& /*splits*/) const override {
    const int64_t k = KeyColumns(problem, sizes);
    return kRowMultiplyAdds + kWriteMultiplyAdds * std::min(problem.top_k, k + kPaddingMax) +
           kSortMultiplyAdds * k * std::bit_width(static_cast<uint64_t>(k));
  }
  double RowSeconds(const AttentionProblem& problem, const KeySizes& sizes) const override {
    return TopKSeconds(KeyColumns(problem, sizes), sizes.m, problem.top_k);
  }
  int64_t StateBytes(const AttentionProblem& problem, const KeySizes& sizes,
                     const StateExtent& extent) const override {
    return RowsHeld(extent) * TopK::Room(problem.top_k, sizes.m) * kEntryBytes;
  }

  // Each row's TopK, then each row's entries.
  int64_t PartBytes(const RowGroup& group) const override {
    int64_t bytes = 0;
    for (const BlockRow& row : group.rows) {
      bytes += static_cast<int64_t>(sizeof(TopK)) +
               TopK::Room(row.request->problem.top_k, group.source.sizes().m) * kEntryBytes;
    }
    return bytes;
  }

  void Begin(const RowGroup& group) const override {
    const int64_t m = group.source.sizes().m;
    std::byte* best = group.part_state;
    auto* entries = reinterpret_cast<TopEntry*>(best + group.rows.size() * sizeof(TopK));
    for (BlockRow& row : group.rows) {
      const int64_t k = row.request->problem.top_k;
      row.state = best;
      new (best) TopK(entries, k, m);
      best += sizeof(TopK);
      entries += TopK::Room(k, m);
    }
  }

  void Take(const RowGroup& group, int64_t /*split*/, const Step& step) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const float* const scores = step.Staged(static_cast<int64_t>(i), group.rows[i]);
      BestOf(group.rows[i]).Offer(scores, step.Count(), step.keys.begin);
    }
  }

  void Merge(const RowGroup& group, std::byte* other) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      TopK& theirs = *reinterpret_cast<TopK*>(other + i * sizeof(TopK));
      BestOf(group.rows[i]).Merge(theirs.entries(), theirs.Select());
    }
  }

  void Finish(const RowGroup& group) const override {
    for (const BlockRow& row : group.rows) {
      const AttentionProblem& problem = row.request->problem;
      TopK& best = BestOf(row);
      const int64_t size = best.Select();
      const int64_t columns =
          UnattendedColumnsOf(*row.request, group.source.sizes()).ColumnsOfRow();
      WriteTopEntries(best.entries(), size, columns, problem.result_type,
                      ResultOf(row, problem.top_k),
                      row.request->results.indices + row.result_row * problem.top_k);
    }
  }
};

}  // namespace

const RowReducer& TopKReducer() {
  static const TopKOfRows reducer;
  return reducer;
}

}  // namespace qkserve
