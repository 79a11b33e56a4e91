#ifndef QKSERVE_CORE_SCORING_ROW_CUT_H_
#define QKSERVE_CORE_SCORING_ROW_CUT_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/scoring/key_source.h"

namespace qkserve {

class RowReducer;

// Rows of a block that one reducer takes, and the memory of their state.
struct RowGroup {
  const RowReducer& reducer;
  const KeySource& source;
  int64_t matrix;
  int64_t first;  // of the rows, among those of the block
  absl::Span<BlockRow> rows;
  std::byte* block_state = nullptr;   // BlockBytes, which all parts of the block share
  std::byte* seldom_state = nullptr;  // SeldomBytes, which they share as well
  std::byte* part_state = nullptr;    // PartBytes, which a part has alone
};
using RowGroups = absl::InlinedVector<RowGroup, 4>;

// Rows that read one matrix and are multiplied together.
struct Block {
  int64_t matrix;
  int64_t index;  // among all blocks
  int64_t first_row;
  int64_t rows;
  int64_t parts;  // tiles that its keys are cut into
};

// Consecutive blocks of each matrix, all with the same number of parts.
struct BlockRun {
  int64_t first_row = 0;
  int64_t block_rows = 1;
  // No block crosses a multiple of it, counted from first_row: a chunk's last block may be shorter.
  int64_t chunk_rows = 1;
  int64_t blocks = 1;  // of a matrix
  int64_t parts = 1;
  double block_tiles = 1;  // the work of a block of one part, in tiles
  // Set by RowCut.
  int64_t blocks_per_tile = 1;  // more than 1 only if `parts` is 1
  int64_t first_block = 0;      // of its blocks, matrix by matrix, among all
  int64_t first_tile = 0;
};

// The work of a tile: part `part` of blocks [first, end).
struct TileBlocks {
  int64_t first, end, part;
};

// How the rows of some requests are stacked in blocks, and the blocks cut into tiles. Tiles know
// their rows and blocks by their number, so a cut of millions of rows is made in microseconds.
class RowCut {
 public:
  explicit RowCut(const KeySource& source) : source_(&source) {}

  // Stacks the request's rows below those that were added before, in each matrix. Requires
  // shape.products > 0.
  void AddRows(const ScoreRequest& request, const RowReducer& reducer);
  // Adds the next blocks of each matrix and cuts them into tiles. Small blocks share a tile, also
  // if they are of different matrices.
  void AddRun(BlockRun run);

  int64_t rows() const { return rows_; }  // of a matrix
  int64_t block_count() const { return block_count_; }
  int64_t tile_count() const { return tile_count_; }

  // The part and the blocks that a tile has.
  TileBlocks BlocksOf(int64_t tile) const;
  // The block of this index among all blocks.
  Block GetBlock(int64_t index) const;
  // Parts are cut where splits are, or, if there are more parts than splits, where panels are.
  KeyRange KeysOf(const Block& block, int64_t part) const;
  // Writes the block's rows to `rows`. Returns them in groups, in order, without memory for state.
  RowGroups MakeRows(const Block& block, BlockRow* rows) const;

 private:
  // The rows of one request among the rows that read a matrix: as many for each matrix.
  struct Stacked {
    const ScoreRequest* request;
    const RowReducer* reducer;
    ScoreMask mask;
    int64_t first_row;
    int64_t rows;
  };

  static BlockRow* MakeRowsOf(const Stacked& stacked, int64_t matrix, int64_t begin, int64_t end,
                              BlockRow* rows);

  const KeySource* source_;
  absl::InlinedVector<Stacked, 1> stack_;
  absl::InlinedVector<BlockRun, 1> runs_;
  int64_t rows_ = 0;
  int64_t block_count_ = 0;
  int64_t tile_count_ = 0;
};

// The number of pieces of a tile if `count` equal pieces, each with `tiles` of a tile's work, are
// cut evenly into tiles.
int64_t PiecesPerTile(double tiles, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ROW_CUT_H_
