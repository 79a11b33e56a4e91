#ifndef QKSERVE_CORE_SCORING_ROW_REDUCER_H_
#define QKSERVE_CORE_SCORING_ROW_REDUCER_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "core/scoring/row_cut.h"
#include "core/scoring/score_mask.h"
#include "qkserve/output.h"

namespace qkserve {

// The products of a group's rows with keys [keys.begin, keys.end). Rows are `stride` apart.
struct Step {
  KeyRange keys;
  float* products;
  int64_t stride;

  int64_t Count() const { return keys.end - keys.begin; }
  // Applies to the products of row `i` of the group, which is `row`, the stages that its output
  // needs, in place. Returns the scores. Called once for each row.
  float* Staged(int64_t i, const BlockRow& row) const {
    float* const scores = products + i * stride;
    row.mask->ApplyStages(row.slice, row.query, keys.begin, Count(), scores);
    return scores;
  }
};

// Costs in multiply-adds, 50 of which take a core about 1 ns. Finishing a row costs about 100 ns,
// beside what its reducer adds.
inline constexpr int64_t kRowMultiplyAdds = 5'000;
// Writing an element of a result costs about 1 ns.
inline constexpr int64_t kWriteMultiplyAdds = 50;

// The cost of a row beside its products.
struct RowCost {
  int64_t finish = kRowMultiplyAdds;  // multiply-adds to finish it
  int64_t keep = 0;                   // multiply-adds to keep a score, at worst
  double seconds = 0;                 // predicted time beside its scores
};

// Makes a row of an output from a row's scores. There is one class for each output, without data of
// its own.
//
// A block's keys are cut into parts. Any threads run them, in any order, at the same time. Each
// part has state of its own (PartBytes), and shares some with the others (BlockBytes), in which it
// writes only what belongs to its keys. For each part Begin is called, then BeginSplit, Skip and
// Take with keys in ascending order. A part that has ended takes over what another one has found
// (Merge). The last one then calls Finish. All bytes are uninitialised and aligned to 64.
//
// Requirements on bits: what is written depends on the row, the source, its steps and its splits.
// It does not depend on other rows, the number of parts or the order in which they end.
class RowReducer {
 public:
  virtual ~RowReducer() = default;

  // Sizes and costs. They are known from the request alone. `sizes` are those of its source.

  // The columns of the result, and how many of them depend on keys. The other columns hold
  // EmptyResult.
  virtual int64_t ResultColumns(const AttentionProblem& /*problem*/, const KeySizes& sizes) const {
    return sizes.m;
  }
  virtual int64_t KeyColumns(const AttentionProblem& problem, const KeySizes& sizes) const {
    return sizes.m > 0 ? ResultColumns(problem, sizes) : 0;
  }
  virtual float EmptyResult() const { return 0.0F; }

  // True if the reducer takes every score of a row, attended or not.
  virtual bool NeedsAllScores() const { return false; }
  // True if the reducer reads values.
  virtual bool ReadsValues() const { return false; }

  // The cost of a row, for the cost model. Takes constant time.
  virtual RowCost CostOf(const AttentionProblem& /*problem*/, const KeySource& /*source*/) const {
    return {};
  }
  // The most bytes of state that a request of `rows` rows holds at a time, beside the scratch of
  // running tiles.
  virtual int64_t StateBytes(const AttentionProblem& /*problem*/, const KeySource& /*source*/,
                             int64_t /*rows*/) const {
    return 0;
  }

  // The functions below run a block.

  // Bytes of state that all parts of a block share.
  virtual int64_t BlockBytes(const RowGroup& /*group*/) const { return 0; }
  // Bytes of shared state that is seldom written. It takes memory only if it is written.
  virtual int64_t SeldomBytes(const RowGroup& /*group*/) const { return 0; }
  // Bytes of state that belong to one part.
  virtual int64_t PartBytes(const RowGroup& /*group*/) const { return 0; }
  // Begins a part: initialises the part's own state.
  virtual void Begin(const RowGroup& /*group*/) const {}
  // Begins a split, or as much of it as this part has. Calls with its keys follow.
  virtual void BeginSplit(const RowGroup& /*group*/, int64_t /*split*/) const {}
  // Tells of keys that no row of the block attends. Not called if NeedsAllScores.
  virtual void Skip(const RowGroup& /*group*/, KeyRange /*keys*/) const {}
  // The place for products of keys from `key` on, if the source is not shared. Rows are as
  // far apart as rows of the result. Null: products go to scratch memory.
  virtual float* PlaceOf(const RowGroup& /*group*/, int64_t /*key*/) const { return nullptr; }
  // Takes the products of a step, and may overwrite them.
  virtual void Take(const RowGroup& group, int64_t split, const Step& step) const = 0;
  // Merges the state of another part, which has ended, into this part's state. `other` is the
  // other's part_state.
  virtual void Merge(const RowGroup& /*group*/, std::byte* /*other*/) const {}
  // Writes the results of the group's rows. Called when all parts have ended.
  virtual void Finish(const RowGroup& /*group*/) const {}
};

// The reducer of an output. No other function knows all reducers. They live as long as the process.
const RowReducer& ReducerOf(Output output);

// All reducers, each once. Those that read values come first.
absl::Span<const RowReducer* const> AllReducers();

// Each is defined in a file reducer_*.cc. Call ReducerOf instead.
const RowReducer& ScoresReducer();
const RowReducer& WeightsReducer();
const RowReducer& ContextReducer();
const RowReducer& TopKReducer();

// The place of a row of `columns` results.
std::byte* ResultOf(const BlockRow& row, int64_t columns);

// Writes the row's log-sum-exp if the request asks for it.
void WriteLogSumExp(const BlockRow& row, float log_sum_exp);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ROW_REDUCER_H_
