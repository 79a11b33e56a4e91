#include "core/scoring/row_cut.h"

#include <algorithm>

#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"

namespace qkserve {

int64_t PiecesPerTile(double tiles, int64_t count) {
  return EvenPart(count, std::clamp(1 / tiles, 1.0, static_cast<double>(count)));
}

void RowCut::AddRows(const ScoreRequest& request, const RowReducer& reducer) {
  const int64_t rows = request.shape.Rows() / source_->sizes().matrices;
  stack_.push_back({&request, &reducer, ScoreMask(request.problem, request.shape), rows_, rows});
  rows_ += rows;
}

void RowCut::AddRun(BlockRun run) {
  const int64_t blocks = run.blocks * source_->sizes().matrices;
  if (run.parts == 1) run.blocks_per_tile = PiecesPerTile(run.block_tiles, blocks);
  run.first_block = block_count_;
  run.first_tile = tile_count_;
  block_count_ += blocks;
  tile_count_ += CeilDivide(blocks, run.blocks_per_tile) * run.parts;
  runs_.push_back(run);
}

TileBlocks RowCut::BlocksOf(int64_t tile) const {
  const BlockRun& run = *std::find_if(runs_.rbegin(), runs_.rend(), [&](const BlockRun& other) {
    return other.first_tile <= tile;
  });
  const int64_t in_run = tile - run.first_tile;
  const int64_t first = run.first_block + in_run / run.parts * run.blocks_per_tile;
  const int64_t run_end = run.first_block + run.blocks * source_->sizes().matrices;
  return {first, std::min(first + run.blocks_per_tile, run_end), in_run % run.parts};
}

Block RowCut::GetBlock(int64_t index) const {
  const BlockRun& run = *std::find_if(runs_.rbegin(), runs_.rend(), [&](const BlockRun& other) {
    return other.first_block <= index;
  });
  const int64_t in_run = index - run.first_block;
  const int64_t in_matrix = in_run % run.blocks;
  const int64_t blocks_per_chunk = CeilDivide(run.chunk_rows, run.block_rows);
  const int64_t in_chunk = in_matrix % blocks_per_chunk * run.block_rows;
  return {.matrix = in_run / run.blocks,
          .index = index,
          .first_row = run.first_row + in_matrix / blocks_per_chunk * run.chunk_rows + in_chunk,
          .rows = std::min(run.block_rows, run.chunk_rows - in_chunk),
          .parts = run.parts};
}

KeyRange RowCut::KeysOf(const Block& block, int64_t part) const {
  const KeyCut& cut = source_->key_cut();
  const int64_t m = source_->sizes().m;
  const int64_t piece = block.parts <= cut.splits ? cut.split_keys : kPanelKeys;
  const int64_t pieces = CeilDivide(m, piece);
  return {part * pieces / block.parts * piece,
          std::min((part + 1) * pieces / block.parts * piece, m)};
}

RowGroups RowCut::MakeRows(const Block& block, BlockRow* rows) const {
  RowGroups groups;
  BlockRow* next = rows;
  for (const Stacked& stacked : stack_) {
    const int64_t begin = std::max<int64_t>(block.first_row - stacked.first_row, 0);
    const int64_t end = std::min(block.first_row + block.rows - stacked.first_row, stacked.rows);
    if (begin >= end) continue;
    if (groups.empty() || &groups.back().reducer != stacked.reducer) {
      groups.push_back({.reducer = *stacked.reducer,
                        .source = *source_,
                        .matrix = block.matrix,
                        .first = next - rows,
                        .rows = {next, 0}});
    }
    next = MakeRowsOf(stacked, block.matrix, begin, end, next);
    RowGroup& group = groups.back();
    group.rows = absl::MakeSpan(rows + group.first, next);
  }
  return groups;
}

// Writes rows [begin, end) of a request to `rows`, in order. The rows are counted over all slices
// that read `matrix`.
BlockRow* RowCut::MakeRowsOf(const Stacked& stacked, int64_t matrix, int64_t begin, int64_t end,
                             BlockRow* rows) {
  const ScoreShape& shape = stacked.request->shape;
  const int64_t heads = shape.heads / shape.key_heads;  // heads that read the matrix
  for (int64_t row = begin; row < end;) {
    const int64_t query = row % shape.n;
    const int64_t in_matrix = row / shape.n;
    const int64_t batch = shape.key_batch == 1 ? in_matrix / heads : matrix / shape.key_heads;
    const int64_t head = matrix % shape.key_heads * heads + in_matrix % heads;
    const int64_t slice = batch * shape.heads + head;
    const int64_t first_row = shape.QueryMatrix(slice) * shape.n;
    const int64_t query_end = std::min(shape.n, query + end - row);
    row += query_end - query;
    for (int64_t i = query; i < query_end; ++i) {
      *rows++ = {.request = stacked.request,
                 .mask = &stacked.mask,
                 .slice = slice,
                 .query = i,
                 .query_row = first_row + i,
                 .result_row = slice * shape.n + i,
                 .state = nullptr};
    }
  }
  return rows;
}

}  // namespace qkserve
