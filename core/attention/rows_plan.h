#ifndef QKSERVE_CORE_ATTENTION_ROWS_PLAN_H_
#define QKSERVE_CORE_ATTENTION_ROWS_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/attention/attention_plan.h"
#include "core/attention/fill_unattended.h"
#include "core/attention/key_mask.h"
#include "core/attention/online_softmax.h"
#include "core/attention/top_k.h"

namespace qkserve {

// Weights, context and top k: outputs that need all scores of a row and store none that nobody
// asked for.
//
// A block of rows goes over its keys in steps of kStepKeys: a step's scores are computed, scaled,
// capped and masked in the cache and reduced on the spot, context with the online softmax (Milakov,
// Gimelshein, "Online normalizer calculation for softmax", 2018). With many keys a block is split
// into several tiles; each keeps what it found (PartialRows), and the last one merges them from the
// first key to the last, so that the order of the tiles does not show. Steps and splits are
// anchored at key 0. Steps that no row of the block attends are skipped.
class RowsPlan final : public AttentionPlan {
 public:
  RowsPlan(const AttentionProblem& problem, const ScoreShape& shape);

  const ScoreShape& shape() const override { return shape_; }
  int64_t tile_count() const override { return tile_count_; }
  absl::Duration PredictCost(double gflops) const override;
  int64_t state_bytes() const override;

  absl::StatusOr<std::unique_ptr<PartialRows>> AllocatePartials() const override;

  absl::Status ComputeTile(int64_t tile, const AttentionProblem& problem,
                           const AttentionResults& results, PartialRows* partials) const override;

 private:
  // Rows that follow one another and read the same keys.
  struct Block {
    int64_t index;  // among blocks_
    int64_t slice;  // of its first row
    int64_t query;  // of its first row; 0 where the block has whole slices
    int64_t rows;
  };
  // What a tile works on.
  struct Work {
    const AttentionProblem& problem;
    const AttentionResults& results;
    const KeyMask& mask;
    Block block;
    KeyRange keys;  // of this tile
  };

  void CutRows(int64_t rows_max);
  void CutKeys();
  Block GetBlock(int64_t index) const;
  int64_t FirstRow(const Block& block) const { return block.slice * shape_.n + block.query; }
  int64_t RowsOfSlot() const { return rows_per_block_ * slices_per_block_; }
  // State of the rows of a block of context or top k.
  int64_t SlotBytes() const;
  int64_t SeldomBytes() const;  // of a slot
  ContextRows ContextIn(std::byte* sums, std::byte* infinities) const {
    return {sums, infinities, RowsOfSlot(), dv_, dv_};
  }
  ContextRows ContextOf(const Block& block, int64_t split, PartialRows& partials) const;
  int64_t TopBytesOfTiles() const;

  // Masked scores of the work's rows and keys [key, key + count), with row stride `stride`.
  absl::Status MaskedScores(const Work& work, int64_t key, int64_t count, float* scores,
                            int64_t stride) const;
  // The keys of the work that any of its rows attends, from a multiple of kStepKeys on.
  KeyRange AttendedKeys(const Work& work) const;

  absl::Status ComputeWork(const Work& work, int64_t split, PartialRows* partials) const;
  // Calls reduce(scores, key, count) for each step of the work's keys that is attended: the masked
  // scores of keys [key, key + count), rows kStepKeys apart.
  template <class Reduce>
  absl::Status ForEachStep(const Work& work, const Reduce& reduce) const;
  absl::Status ComputeWeights(const Work& work) const;
  absl::Status ComputeContext(const Work& work, const ContextRows& state) const;
  absl::Status ComputeTopK(const Work& work, int64_t split, PartialRows* partials) const;
  void MergeContext(const Work& work, PartialRows& partials) const;
  absl::Status MergeTopK(const Work& work, PartialRows& partials) const;
  void WriteContext(const Work& work, const ContextRows& state) const;
  void WriteTopK(const Work& work, TopRows& top) const;

  ScoreShape shape_;
  Output output_;
  int64_t dv_ = 0;       // for context
  int64_t columns_ = 0;  // that are asked for, for top k
  int64_t top_k_ = 0;    // entries kept of a row, for top k: at most m

  bool has_whole_slices_ = false;  // blocks consist of whole slices, otherwise of parts of one
  int64_t rows_per_block_ = 0;
  int64_t blocks_per_slice_ = 1;
  int64_t slices_per_block_ = 1;
  int64_t blocks_per_unit_ = 1;
  int64_t blocks_ = 0;
  int64_t split_keys_ = 0;
  int64_t splits_ = 1;
  int64_t blocks_per_tile_ = 1;  // more than 1 only where splits_ is 1
  int64_t block_tiles_ = 0;
  UnattendedColumns unattended_;  // filled by the tiles after those of blocks
  int64_t tile_count_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_ATTENTION_ROWS_PLAN_H_
