#include "core/scoring/row_cut.h"

#include <algorithm>
#include <utility>

#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"
#include "core/scoring/score_shape.h"

namespace qkserve {
namespace {

// Writes rows [begin, end) of those of a request that read `matrix`: the slices that read it, in
// order.
BlockRow* MakeRowsOf(const StackedRows& stacked, int64_t matrix, int64_t begin, int64_t end,
                     BlockRow* rows) {
  const ScoreShape& shape = stacked.request->shape;
  const int64_t heads = shape.heads / shape.key_heads;  // that read the matrix
  const int64_t first_head = matrix % shape.key_heads * heads;
  int64_t batch = shape.key_batch == 1 ? begin / (heads * shape.n) : matrix / shape.key_heads;
  int64_t head = begin % (heads * shape.n) / shape.n;
  int64_t query = begin % shape.n;
  for (int64_t index = begin; index < end; ++index) {
    const int64_t slice = batch * shape.heads + first_head + head;
    const int64_t query_matrix = (shape.query_batch == 1 ? 0 : batch) * shape.query_heads +
                                 (shape.query_heads == 1 ? 0 : first_head + head);
    *rows++ = {.request = stacked.request,
               .mask = &stacked.mask,
               .slice = slice,
               .query = query,
               .query_row = query_matrix * shape.n + query,
               .result_row = slice * shape.n + query,
               .state = nullptr};
    if (++query < shape.n) continue;
    query = 0;
    if (++head < heads) continue;
    head = 0;
    ++batch;
  }
  return rows;
}

}  // namespace

int64_t BlockRun::Tiles() const {
  return parts > 1 ? blocks * parts : CeilDivide(blocks, blocks_per_tile);
}

void RowCut::AddRows(const ScoreRequest& request, const RowReducer& reducer) {
  const int64_t rows = request.shape.Rows() / sizes_.matrices;
  stack_.push_back({.request = &request,
                    .reducer = &reducer,
                    .mask = ScoreMask(request.problem, request.shape),
                    .first_row = rows_,
                    .rows = rows});
  rows_ += rows;
}

void RowCut::AddRun(BlockRun run, double block_tiles) {
  const auto blocks = static_cast<double>(run.blocks);
  if (run.parts == 1) {
    run.blocks_per_tile =
        EvenPart(run.blocks, static_cast<int64_t>(std::clamp(1 / block_tiles, 1.0, blocks)));
  }
  matrix_tiles_ += blocks * (run.parts == 1 ? block_tiles : static_cast<double>(run.parts));
  run.first_block = blocks_per_matrix_;
  blocks_per_matrix_ += run.blocks;
  runs_.push_back(run);
}

void RowCut::CutTiles() {
  if (runs_.empty()) return;
  if (matrix_tiles_ <= 1) {
    matrices_per_tile_ = EvenPart(
        sizes_.matrices, static_cast<int64_t>(std::clamp(1 / matrix_tiles_, 1.0,
                                                         static_cast<double>(sizes_.matrices))));
    tile_count_ = CeilDivide(sizes_.matrices, matrices_per_tile_);
    return;
  }
  tiles_per_matrix_ = 0;
  for (BlockRun& run : runs_) {
    run.first_tile = std::exchange(tiles_per_matrix_, tiles_per_matrix_ + run.Tiles());
  }
  tile_count_ = tiles_per_matrix_ * sizes_.matrices;
}

absl::Status RowCut::ForEachPart(
    int64_t tile, absl::FunctionRef<absl::Status(const Block& block, int64_t part)> fn) const {
  if (tiles_per_matrix_ == 1) {
    const int64_t end = std::min((tile + 1) * matrices_per_tile_, sizes_.matrices);
    for (int64_t matrix = tile * matrices_per_tile_; matrix < end; ++matrix) {
      for (const BlockRun& run : runs_) {
        absl::Status status = RunBlocks(run, matrix, 0, run.blocks, fn);
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }
  const int64_t matrix = tile / tiles_per_matrix_;
  const int64_t in_matrix = tile % tiles_per_matrix_;
  const BlockRun& run =
      *(std::upper_bound(runs_.begin(), runs_.end(), in_matrix,
                         [](int64_t t, const BlockRun& r) { return t < r.first_tile; }) -
        1);
  const int64_t in_run = in_matrix - run.first_tile;
  if (run.parts > 1) return fn(GetBlock(run, matrix, in_run / run.parts), in_run % run.parts);
  const int64_t first = in_run * run.blocks_per_tile;
  return RunBlocks(run, matrix, first, std::min(first + run.blocks_per_tile, run.blocks), fn);
}

absl::Status RowCut::RunBlocks(
    const BlockRun& run, int64_t matrix, int64_t first, int64_t end,
    absl::FunctionRef<absl::Status(const Block& block, int64_t part)> fn) const {
  absl::Status status;
  for (int64_t block = first; block < end && status.ok(); ++block) {
    status = fn(GetBlock(run, matrix, block), 0);
  }
  return status;
}

Block RowCut::GetBlock(const BlockRun& run, int64_t matrix, int64_t block) const {
  const int64_t blocks_per_chunk = CeilDivide(run.chunk_rows, run.block_rows);
  const int64_t in_chunk = block % blocks_per_chunk * run.block_rows;
  return {.matrix = matrix,
          .index = matrix * blocks_per_matrix_ + run.first_block + block,
          .first_row = run.first_row + block / blocks_per_chunk * run.chunk_rows + in_chunk,
          .rows = std::min(run.block_rows, run.chunk_rows - in_chunk),
          .parts = run.parts};
}

KeyRange RowCut::KeysOf(const Block& block, int64_t part) const {
  if (block.parts == 1) return {0, sizes_.m};
  const int64_t piece = block.parts <= splits_.count ? splits_.keys : kPanelKeys;
  const int64_t pieces = CeilDivide(sizes_.m, piece);
  return {part * pieces / block.parts * piece,
          std::min((part + 1) * pieces / block.parts * piece, sizes_.m)};
}

RowRanges RowCut::MakeRows(const Block& block, BlockRow* rows) const {
  RowRanges ranges;
  BlockRow* next = rows;
  for (const StackedRows& stacked : stack_) {
    const int64_t begin = std::max(block.first_row, stacked.first_row) - stacked.first_row;
    const int64_t end = std::min(block.first_row + block.rows, stacked.first_row + stacked.rows) -
                        stacked.first_row;
    if (begin >= end) continue;
    if (ranges.empty() || ranges.back().reducer != stacked.reducer) {
      ranges.push_back({.reducer = stacked.reducer, .first = next - rows, .count = 0});
    }
    ranges.back().count += end - begin;
    next = MakeRowsOf(stacked, block.matrix, begin, end, next);
  }
  return ranges;
}

}  // namespace qkserve
