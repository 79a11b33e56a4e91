#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/attention/fill_unattended.h"
#include "core/attention/key_mask.h"
#include "core/attention/online_softmax.h"
#include "core/attention/top_k.h"
#include "core/batching/job.h"
#include "core/buffer.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_request.h"
#include "core/mutex.h"

namespace qkserve {

// One go over a key set's keys that answers several requests, whatever their number of queries,
// output, mask or k.
//
// The rows that read one matrix of the set are stacked in blocks. A block goes over the keys split
// by split (SplitKeys) in steps of kStepKeys: a step's scores are computed for all rows, and each
// row scales, caps, masks and reduces its own while they are in the cache. A tile is a part of the
// keys of a block; the last tile of a block merges what the splits found, in order, and writes the
// results. Blocks that are less than a tile share one.
//
// A tile computes its rows and blocks from its number, and allocates their memory. So a pass over
// millions of rows is made at once, and no tile is long.
//
// Why the bits are the same in every pass: a score depends on its query and key alone (see
// packed_kernel.h), what follows is done row by row, splits and steps are cut by the set alone and
// merged in order. (The best k are the same in any order.)
//
// Tiles may run in any threads at the same time.
class KeySetPass final : public Pass {
 public:
  // The requests must outlive the pass. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<KeySetPass>> Create(
      std::shared_ptr<const KeySet> key_set, absl::Span<const KeySetRequest* const> requests);

  int64_t tile_count() const override { return tile_count_; }
  // RESOURCE_EXHAUSTED: no memory for what the tile holds.
  absl::Status RunTile(int64_t tile) override;

 private:
  // A request's rows that read one matrix: as many for each matrix.
  struct Source {
    const KeySetRequest* request;
    KeyMask mask;
    int64_t first_row;  // among the rows of a matrix
    int64_t rows;
  };

  // Blocks of a matrix that follow one another and have as many rows.
  struct Run {
    int64_t first_row;
    int64_t rows;              // of a block
    int64_t context_rows = 0;  // of these; they come first
    int64_t blocks = 1;
    int64_t first_block = 0;  // among the blocks of a matrix
    int64_t first_tile = 0;   // among the tiles of a matrix
    int64_t tiles = 1;
    int64_t parts = 1;            // tiles of a block
    int64_t blocks_per_tile = 1;  // more than 1 only where `parts` is 1
  };

  // Rows that read one matrix.
  struct Block {
    int64_t matrix;
    int64_t index;  // among all blocks
    int64_t first_row;
    int64_t rows;
    int64_t context_rows;
    int64_t parts;
  };

  // Members have no initial values: a tile has room for kBlockRows and makes those that it needs.
  struct Row {
    const KeySetRequest* request;
    const KeyMask* mask;
    int64_t slice;
    int64_t query;       // within the slice
    int64_t query_row;   // of the queries tensor
    int64_t result_row;  // of the results
    float* weights;      // of all keys; for kWeights
    size_t top;          // its place in TopRows; for kTopK
  };

  // Shared results of the parts of a block. Each part keeps its own best k and hands them over.
  struct BlockState {
    Buffer context, weights;
    Buffer infinities;  // of the context
    TopRows top;        // of a part that has ended, where has_top
    bool has_top = false;
    int64_t parts_left = 0;
  };

  // Results that no key has a part in.
  struct Fill {
    const KeySetRequest* request;
    UnattendedColumns columns;
    int64_t first_tile;
  };

  explicit KeySetPass(std::shared_ptr<const KeySet> key_set);

  // Whether every score of a row is wanted, attended or not.
  static bool WantsAllScores(const AttentionProblem& problem) {
    return problem.output != Output::kContext && problem.output != Output::kTopK;
  }

  // Rows of a matrix that may share blocks, those of context first.
  struct Section {
    int64_t first_row, context_end, end_row;
    int64_t finish = 0;  // multiply-adds that finishing one of its rows is worth at most
    bool has_top_k = false;
  };

  void AddSources(absl::Span<const KeySetRequest* const> requests);
  void AddFill(const KeySetRequest& request);
  int64_t FinishMultiplyAdds(const AttentionProblem& problem) const;
  // Cuts a section into blocks. Returns the tiles that they are worth.
  double CutRows(const Section& section);
  // Decides the run's parts, or how many of its blocks are a tile. Returns the tiles that they are
  // worth.
  double CutTiles(const Section& section, Run& run) const;
  void CountTiles(double matrix_tiles);

  // Running tiles: key_set_pass_run.cc.

  // Input of a part of a block.
  struct Work {
    const Block& block;
    BlockState& state;
    TopRows& top;
    absl::Span<Row> rows;
    const float* queries;  // rows x d
    KeyRange attended;     // keys that any row needs
  };
  void RunFill(int64_t tile) const;
  // Blocks first, ..., end - 1 of a run, which have one part each.
  absl::Status RunBlocks(const Run& run, int64_t matrix, int64_t first, int64_t end);
  Block GetBlock(const Run& run, int64_t matrix, int64_t block) const;
  void MakeRows(const Block& block, Row* rows) const;
  void ConvertQueries(absl::Span<const Row> rows, float* queries) const;
  KeyRange KeysOf(const Block& block, int64_t part) const;
  absl::Status AllocateState(const Block& block, absl::Span<const Row> rows,
                             BlockState& state) const;
  // That of a block of several parts, which lives until the last of them has ended.
  absl::StatusOr<BlockState*> SharedState(const Block& block, absl::Span<const Row> rows);
  // A part of the block has ended. True for the last one: `top` then has the best of all parts.
  bool HandOver(BlockState& state, TopRows& top);
  absl::StatusOr<TopRows> MakeTopRows(absl::Span<Row> rows) const;
  // Weights that are narrowed when they are done.
  static bool HasWeightsOfItsOwn(const Row& row) {
    const AttentionProblem& problem = row.request->problem;
    return problem.output == Output::kWeights && problem.result_type != DataType::kFloat32;
  }
  void PlaceWeights(absl::Span<Row> rows, BlockState& state) const;
  KeyRange AttendedKeys(absl::Span<const Row> rows) const;
  absl::Status RunPart(const Block& block, int64_t part);
  absl::Status RunKeys(const Work& work, KeyRange keys);
  absl::Status RunSplit(const Work& work, int64_t split, KeyRange keys);
  void Reduce(const Work& work, const Row& row, int64_t key, int64_t count, float* scores);
  void FinishBlock(const Work& work);
  void FinishTopK(const Row& row, TopK& best) const;

  // State of the block's rows of context in a split.
  ContextRows ContextOf(const Work& work, int64_t split) const;

  const std::shared_ptr<const KeySet> key_set_;
  const KeySplits splits_;
  const int64_t padded_dv_;
  const int64_t matrices_;
  std::vector<Source> sources_;
  std::vector<Run> runs_;
  std::vector<Fill> fills_;
  int64_t blocks_per_matrix_ = 0;
  // At least one of the two is 1.
  int64_t tiles_per_matrix_ = 1;
  int64_t matrices_per_tile_ = 1;
  int64_t block_tiles_ = 0;  // tiles of blocks; those that fill come after
  int64_t tile_count_ = 0;

  Mutex mutex_;
  // Blocks of several parts that are under way, by index.
  std::map<int64_t, BlockState> states_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_
