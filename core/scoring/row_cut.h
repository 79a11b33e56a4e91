#ifndef QKSERVE_CORE_SCORING_ROW_CUT_H_
#define QKSERVE_CORE_SCORING_ROW_CUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_mask.h"

namespace qkserve {

class RowReducer;

// Keys and values of a source.
struct KeySizes {
  int64_t matrices = 1;
  int64_t m = 0;
  int64_t d = 0;
  int64_t dv = 0;  // 0: no values, or none that are read
};

// Splits of `keys` keys each, anchored at key 0. Context is summed split by split and merged in
// order, so its bits depend on the cut.
struct KeySplits {
  int64_t keys = 1;
  int64_t count = 1;
};

// The rows of one request among the rows that read a matrix: as many for each matrix.
struct StackedRows {
  const ScoreRequest* request;
  const RowReducer* reducer;
  ScoreMask mask;
  int64_t first_row;
  int64_t rows;
};

// Rows that read one matrix and are multiplied together.
struct Block {
  int64_t matrix;
  int64_t index;  // among all blocks
  int64_t first_row;
  int64_t rows;
  int64_t parts;  // tiles that its keys are cut into
};

// Blocks of a matrix that follow one another and have as many parts.
struct BlockRun {
  int64_t first_row = 0;
  int64_t block_rows = 1;
  // No block crosses a multiple of it, counted from first_row: a chunk's last block may be shorter.
  int64_t chunk_rows = 1;
  int64_t blocks = 1;
  int64_t parts = 1;
  // Set by RowCut.
  int64_t blocks_per_tile = 1;  // more than 1 only if `parts` is 1
  int64_t first_block = 0;      // among the blocks of a matrix
  int64_t first_tile = 0;       // among the tiles of a matrix

  int64_t Tiles() const;
};

// A row of a block. Members have no initial values: a tile has room for kBlockRows and makes those
// that it needs.
struct BlockRow {
  const ScoreRequest* request;
  const ScoreMask* mask;
  int64_t slice;
  int64_t query;      // within the slice
  int64_t query_row;  // of the queries tensor
  int64_t result_row;
  std::byte* state;  // the reducer's own
};

// Rows [first, first + count) of a block have the same reducer.
struct RowRange {
  const RowReducer* reducer;
  int64_t first;
  int64_t count;
};
using RowRanges = absl::InlinedVector<RowRange, 4>;

// How the rows of some requests are stacked in blocks, and the blocks cut into tiles. Tiles know
// their rows and blocks by their number, so a cut of millions of rows is made in microseconds.
class RowCut {
 public:
  RowCut(const KeySizes& sizes, const KeySplits& splits) : sizes_(sizes), splits_(splits) {}

  // The next rows of each matrix. Requires shape.products > 0.
  void AddRows(const ScoreRequest& request, const RowReducer& reducer);
  // `block_tiles`: the work of a block of one part, in tiles. Small blocks share a tile.
  void AddRun(BlockRun run, double block_tiles);
  // After the last AddRun. If the blocks of a matrix are less than a tile, a tile has several
  // matrices.
  void CutTiles();

  const KeySplits& splits() const { return splits_; }
  int64_t rows() const { return rows_; }  // of a matrix
  int64_t tile_count() const { return tile_count_; }

  // Calls run(block, part) for what a tile has, until one fails.
  absl::Status ForEachPart(
      int64_t tile, absl::FunctionRef<absl::Status(const Block& block, int64_t part)> run) const;

  // Parts are cut where splits are, or, if there are more parts than splits, where panels are.
  KeyRange KeysOf(const Block& block, int64_t part) const;

  // Writes the block's rows to `rows`. Returns what they are reduced by, in order.
  RowRanges MakeRows(const Block& block, BlockRow* rows) const;

 private:
  absl::Status RunBlocks(
      const BlockRun& run, int64_t matrix, int64_t first, int64_t end,
      absl::FunctionRef<absl::Status(const Block& block, int64_t part)> fn) const;
  Block GetBlock(const BlockRun& run, int64_t matrix, int64_t block) const;

  KeySizes sizes_;
  KeySplits splits_;
  std::vector<StackedRows> stack_;
  std::vector<BlockRun> runs_;
  int64_t rows_ = 0;
  int64_t blocks_per_matrix_ = 0;
  double matrix_tiles_ = 0;  // the work for a matrix
  // At least one of the two is 1.
  int64_t tiles_per_matrix_ = 1;
  int64_t matrices_per_tile_ = 1;
  int64_t tile_count_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ROW_CUT_H_
