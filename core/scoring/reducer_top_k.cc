// Top k: the best scores of a row. The order in which keys are offered does not matter. So each
// part keeps its own best scores, and Merge combines them.

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

#include "core/kernels/blas.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/top_k.h"

namespace qkserve {
namespace {

// The costs, in multiply-adds, of keeping a new best score and of sorting an entry. The latter is
// multiplied by the logarithm of k.
constexpr int64_t kKeepMultiplyAdds = 200;
constexpr int64_t kSortMultiplyAdds = 500;
constexpr auto kEntryBytes = static_cast<int64_t>(sizeof(TopEntry));

static_assert(std::is_trivially_destructible_v<TopK>);
TopK& BestOf(const BlockRow& row) { return *reinterpret_cast<TopK*>(row.state); }

// Returns the most rows whose entries a request holds at a time. A running tile has a seat of
// TileScratch, and there are BlasCallsMax() seats. If each block has one part, a running tile holds
// the rows of its block. If blocks have several parts, a running part holds its rows. While this
// part merges, it holds the rows of another part, too. In addition, each block holds the rows of
// one part that has ended.
int64_t RowsHeld(const KeyCut& cut, int64_t rows) {
  const int64_t running = BlasCallsMax() * std::min(rows, cut.block_rows);
  if (cut.is_scratch) return std::min(rows, running);
  return std::min(rows * cut.parts, rows + 2 * running);
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
  RowCost CostOf(const AttentionProblem& problem, const KeySource& source) const override {
    const int64_t k = KeyColumns(problem, source.sizes());
    const auto bits = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(k)));
    return {.finish = kRowMultiplyAdds +
                      kWriteMultiplyAdds * std::min(problem.top_k, k + kPaddingMax) +
                      kSortMultiplyAdds * k * bits,
            .keep = kKeepMultiplyAdds,
            .seconds = TopKSeconds(k, source.sizes().m, problem.top_k)};
  }
  int64_t StateBytes(const AttentionProblem& problem, const KeySource& source,
                     int64_t rows) const override {
    return RowsHeld(source.key_cut(), rows) * TopK::Room(problem.top_k, source.sizes().m) *
           kEntryBytes;
  }

  // The state of a part is the TopK of each row, followed by the entries of each row.
  int64_t PartBytes(const RowGroup& group) const override {
    int64_t bytes = group.rows.size() * sizeof(TopK);
    for (const BlockRow& row : group.rows) {
      bytes += TopK::Room(row.request->problem.top_k, group.source.sizes().m) * kEntryBytes;
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
      const float* const scores = step.Staged(i, group.rows[i]);
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
      const ScoreRequest& request = *row.request;
      const int64_t top_k = request.problem.top_k;
      const int64_t size = BestOf(row).Select();
      const int64_t k = KeyColumns(request.problem, group.source.sizes());
      WriteTopEntries(BestOf(row).entries(), size, top_k - k > kPaddingMax ? k : top_k,
                      request.problem.result_type, ResultOf(row, top_k),
                      request.results.indices + row.result_row * top_k);
    }
  }
};

}  // namespace

const RowReducer& TopKReducer() {
  static const TopKOfRows reducer;
  return reducer;
}

}  // namespace qkserve
