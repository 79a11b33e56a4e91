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
  // Applies the stages that the output needs to the products of row `i` of the group, in place.
  // `row` is this row. Returns the scores. Called once for each row.
  float* Staged(int64_t i, const BlockRow& row) const {
    float* const scores = products + i * stride;
    row.mask->ApplyStages(row.slice, row.query, keys.begin, Count(), scores);
    return scores;
  }
};

// Costs are in multiply-adds. A core does 50 of them in about 1 ns. Finishing a row costs about 100
// ns, plus what the row's reducer adds.
inline constexpr int64_t kRowMultiplyAdds = 5'000;
// Writing an element of a result costs about 1 ns.
inline constexpr int64_t kWriteMultiplyAdds = 50;

// The cost of a row, without its products.
struct RowCost {
  int64_t finish = kRowMultiplyAdds;  // multiply-adds to finish it
  int64_t keep = 0;                   // multiply-adds to keep a score, at worst
  double seconds = 0;                 // predicted time, without its scores
};

// Makes a row of an output from a row's scores. Each file reducer_*.cc has one such class, whose
// object has no data.
//
// A block's keys are cut into parts. Any threads may run the parts, in any order and at the same
// time. Each part has its own state (PartBytes). All parts of the block share other state
// (BlockBytes), in which each part writes only what belongs to its keys. For each part Begin is
// called, then BeginSplit, Skip and Take with keys in ascending order. A part that has ended may
// take over the state of another part (Merge). Finish is called when the last part has ended. All
// state is uninitialised and aligned to 64 bytes.
//
// Every reducer must guarantee that the bits of a result depend only on the row and on the source
// with its steps and splits. The bits must not depend on other rows, the number of parts or the
// order in which parts end.
class RowReducer {
 public:
  virtual ~RowReducer() = default;

  // Sizes and costs. Only the request and its source decide them. `sizes` are the sizes of this
  // source.

  // Return the number of columns of the result, by default one for each key, and the number of
  // columns that depend on keys. The other columns hold EmptyResult.
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

  // Returns the cost of a row, for the cost model. Takes constant time.
  virtual RowCost CostOf(const AttentionProblem& /*problem*/, const KeySource& /*source*/) const {
    return {};
  }
  // Returns the most bytes of state that a request of `rows` rows holds at a time, without the
  // scratch of running tiles.
  virtual int64_t StateBytes(const AttentionProblem& /*problem*/, const KeySource& /*source*/,
                             int64_t /*rows*/) const {
    return 0;
  }

  // The functions below run a block.

  // Returns the bytes of state that all parts of a block share.
  virtual int64_t BlockBytes(const RowGroup& /*group*/) const { return 0; }
  // Returns the bytes of shared state that is seldom written. This state takes memory only if it is
  // written.
  virtual int64_t SeldomBytes(const RowGroup& /*group*/) const { return 0; }
  // Returns the bytes of state that belong to one part.
  virtual int64_t PartBytes(const RowGroup& /*group*/) const { return 0; }
  // Begins a part. Initialises the part's own state.
  virtual void Begin(const RowGroup& /*group*/) const {}
  // Begins a split. If the split is cut between parts, begins this part's piece of it. Skip and
  // Take are then called with its keys.
  virtual void BeginSplit(const RowGroup& /*group*/, int64_t /*split*/) const {}
  // Tells the reducer that no row of the block attends `keys`. Not called if NeedsAllScores.
  virtual void Skip(const RowGroup& /*group*/, KeyRange /*keys*/) const {}
  // Returns the place for products of keys from `key` on, or null if products go to scratch memory.
  // Rows are as far apart as rows of the result. Called only if the source is not shared.
  virtual float* PlaceOf(const RowGroup& /*group*/, int64_t /*key*/) const { return nullptr; }
  // Takes the products of a step, and may overwrite them.
  virtual void Take(const RowGroup& group, int64_t split, const Step& step) const = 0;
  // Merges the state of another part, which has ended, into this part's state. `other` is the
  // part_state of that part.
  virtual void Merge(const RowGroup& /*group*/, std::byte* /*other*/) const {}
  // Writes the results of the group's rows. Called when all parts have ended.
  virtual void Finish(const RowGroup& /*group*/) const {}
};

// Returns the reducer of an output. Reducers live as long as the process.
const RowReducer& ReducerOf(Output output);

// Returns the reducers of all outputs, each once. The reducers that read values come first.
absl::Span<const RowReducer* const> AllReducers();

// Return the reducers, which the files reducer_*.cc define. Only for ReducerOf and AllReducers.
const RowReducer& ScoresReducer();
const RowReducer& WeightsReducer();
const RowReducer& ContextReducer();
const RowReducer& TopKReducer();

// Returns the most rows that a request of `rows` rows holds state for at a time, if each part keeps
// state for its rows.
int64_t PartRowsHeld(const KeyCut& cut, int64_t rows);

// Returns the place of a row's results. The row has `columns` results.
std::byte* ResultOf(const BlockRow& row, int64_t columns);

// Writes the row's log-sum-exp if the request asks for it.
void WriteLogSumExp(const BlockRow& row, float log_sum_exp);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ROW_REDUCER_H_
