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

// Products of a group's rows with keys [keys.begin, keys.end), rows `stride` apart.
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

// In multiply-adds, 50 of which take a core about 1 ns. Finishing a row, beside what its reducer
// adds: about 100 ns.
inline constexpr int64_t kRowMultiplyAdds = 5'000;
// Writing an element of a result, about 1 ns.
inline constexpr int64_t kWriteMultiplyAdds = 50;

// The cost of a row beside its products.
struct RowCost {
  int64_t finish = kRowMultiplyAdds;  // finishing it, in multiply-adds
  int64_t keep = 0;                   // keeping a score, at worst, in multiply-adds
  double seconds = 0;                 // predicted time beside its scores
};

// Makes a row of an output from a row's scores: one class for each output, without data of its own.
//
// A block's keys are cut into parts, which any threads run in any order at the same time. Each part
// has state of its own (PartBytes) and shares some with the others (BlockBytes), in which it writes
// only what belongs to its keys. For each part Begin is called, then BeginSplit, Skip and Take with
// keys in ascending order. A part that has ended takes over what another one has found (Merge);
// the last one then calls Finish. All bytes are uninitialised and aligned to 64.
//
// Requirements on bits: what is written depends on the row, the source, its steps and its splits,
// but not on other rows, the number of parts or the order in which they end.
class RowReducer {
 public:
  virtual ~RowReducer() = default;

  // Sizes and costs, known from the request alone. `sizes` are those of its source.

  // Columns of the result, and the number of them that depend on keys. The others hold EmptyResult.
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
  // Bytes of state that a request of `rows` rows can hold at a time, beside the scratch of the
  // tiles that run.
  virtual int64_t StateBytes(const AttentionProblem& /*problem*/, const KeySource& /*source*/,
                             int64_t /*rows*/) const {
    return 0;
  }

  // Running.

  // Bytes of state that all parts of a block share.
  virtual int64_t BlockBytes(const RowGroup& /*group*/) const { return 0; }
  // Block state that is seldom written, and may take memory only then.
  virtual int64_t SeldomBytes(const RowGroup& /*group*/) const { return 0; }
  // Bytes of state that each part has alone.
  virtual int64_t PartBytes(const RowGroup& /*group*/) const { return 0; }
  // Begins a part: initialises its own state.
  virtual void Begin(const RowGroup& /*group*/) const {}
  // Begins a split, or the part of it that this part has. Its keys follow.
  virtual void BeginSplit(const RowGroup& /*group*/, int64_t /*split*/) const {}
  // Passes over keys that no row of the block attends. Not called if NeedsAllScores.
  virtual void Skip(const RowGroup& /*group*/, KeyRange /*keys*/) const {}
  // If the source is not shared: the group's place for the products of keys from `key` on, rows as
  // far apart as rows of the result. Null: they go to scratch.
  virtual float* PlaceOf(const RowGroup& /*group*/, int64_t /*key*/) const { return nullptr; }
  // Takes the products of a step. May overwrite them.
  virtual void Take(const RowGroup& group, int64_t split, const Step& step) const = 0;
  // Merges the state of another part into this one's. `other` is the part_state of that part, which
  // has ended.
  virtual void Merge(const RowGroup& /*group*/, std::byte* /*other*/) const {}
  // Writes the results of the group's rows, after all parts have ended.
  virtual void Finish(const RowGroup& /*group*/) const {}
};

// The reducer of an output: the one place that knows them all. They live as long as the process.
const RowReducer& ReducerOf(Output output);

// All of them, each once. Those that read values come first.
absl::Span<const RowReducer* const> AllReducers();

// One for each file reducer_*.cc. Others ask ReducerOf.
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
