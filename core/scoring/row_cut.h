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
  int64_t first;  // index of the group's first row in the block
  absl::Span<BlockRow> rows;
  std::byte* block_state = nullptr;   // BlockBytes bytes that all parts of the block share
  std::byte* seldom_state = nullptr;  // SeldomBytes bytes that all parts of the block share
  std::byte* part_state = nullptr;    // PartBytes bytes that only this part uses
};
using RowGroups = absl::InlinedVector<RowGroup, 4>;

// Rows that read one matrix and are multiplied together.
struct Block {
  int64_t matrix;
  int64_t index;  // counted over all blocks
  int64_t first_row;
  int64_t rows;
  int64_t parts;  // number of parts into which its keys are cut
};

// Consecutive blocks of each matrix, all with the same number of parts.
struct BlockRun {
  int64_t first_row = 0;
  int64_t block_rows = 1;
  // From first_row on, every chunk_rows rows are a chunk. No block crosses the end of a chunk, so
  // the last block of a chunk may be shorter.
  int64_t chunk_rows = 1;
  int64_t blocks = 1;  // blocks of a matrix
  int64_t parts = 1;
  double block_tiles = 1;  // work of a block, in tiles; read only if `parts` is 1
  // RowCut sets the members below.
  int64_t blocks_per_tile = 1;  // above 1 only if `parts` is 1
  int64_t first_block = 0;      // its first block, counted over all blocks
  int64_t first_tile = 0;
};

// The work of a tile: part `part` of blocks [first, end).
struct TileBlocks {
  int64_t first, end, part;
};

// Describes how the rows of some requests are stacked in blocks, and how the blocks are cut into
// tiles. The rows and blocks of a tile are computed from the tile's number. So the cut of millions
// of rows is made in microseconds.
class RowCut {
 public:
  explicit RowCut(const KeySource& source) : source_(&source) {}

  // Adds the request's rows to the stack of each matrix, below the rows that were added before.
  // Requires shape.products > 0.
  void AddRows(const ScoreRequest& request, const RowReducer& reducer);
  // Adds the next blocks of each matrix and cuts them into tiles. Small blocks share a tile, even
  // if they read different matrices.
  void AddRun(BlockRun run);

  int64_t rows() const { return rows_; }  // rows that read each matrix
  int64_t block_count() const { return block_count_; }
  int64_t tile_count() const { return tile_count_; }

  // Returns the blocks of a tile, and which part of these blocks the tile has.
  TileBlocks BlocksOf(int64_t tile) const;
  // Returns the block with this index, counted over all blocks.
  Block GetBlock(int64_t index) const;
  // Returns the keys of a part. A part begins where a split begins or, if there are more parts than
  // splits, where a panel begins.
  KeyRange KeysOf(const Block& block, int64_t part) const;
  // Writes the block's rows to `rows`. Returns them in groups, in order. The groups have no memory
  // for state yet.
  RowGroups MakeRows(const Block& block, BlockRow* rows) const;

 private:
  // The rows of one request that read a matrix. Their number is the same for every matrix.
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

// Returns the number of pieces in a tile if `count` equal pieces are put evenly into tiles. `tiles`
// is the work of one piece, in tiles.
int64_t PiecesPerTile(double tiles, int64_t count);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_ROW_CUT_H_
