#include "core/attention/rows_plan.h"

#include <algorithm>
#include <cmath>

#include "core/attention/blas.h"
#include "core/attention/block_product.h"
#include "core/attention/online_softmax.h"
#include "core/attention/partial_rows.h"
#include "core/attention/tile_scratch.h"
#include "core/attention/top_k.h"
#include "core/limits.h"

namespace qkserve {

RowsPlan::RowsPlan(const AttentionProblem& problem, const ScoreShape& shape)
    : shape_(shape), output_(problem.output) {
  int64_t row_elements = 1;
  if (output_ == Output::kContext) {
    dv_ = problem.values->shape.back();
    row_elements = dv_;
  } else if (output_ == Output::kTopK) {
    columns_ = problem.top_k;
    top_k_ = std::min(problem.top_k, shape.m);
    row_elements = top_k_;
  } else {
    row_elements = shape.m;
  }
  unattended_ = UnattendedColumnsOf(problem, shape, dv_);
  const int64_t fill_tiles = CeilDivide(unattended_.Places(), kFillPlaces);
  tile_count_ = fill_tiles;
  if (shape_.Rows() == 0 || shape_.m == 0) return;
  // A step of a block must not cost more than a tile, whatever d and dv.
  const double step_rows =
      static_cast<double>(kTileMultiplyAdds) /
      (static_cast<double>(kStepKeys) *
       (static_cast<double>(shape_.d) + static_cast<double>(dv_) + kExpMultiplyAdds));
  const auto rows_max =
      static_cast<int64_t>(std::clamp(step_rows, 1.0, static_cast<double>(kBlockRows)));
  CutRows(std::clamp(kBlockElements / std::max<int64_t>(row_elements, 1), int64_t{1}, rows_max));
  CutKeys();
  tile_count_ = block_tiles_ + fill_tiles;
}

void RowsPlan::CutRows(int64_t rows_max) {
  const int64_t slices = shape_.batch * shape_.heads;
  // Slices of a few rows go together where they share their keys; otherwise blocks end where slices
  // do, so that a causal mask leaves out as much as it can.
  if (shape_.n > rows_max || shape_.n >= kBlockRows / 2) {
    rows_per_block_ = EvenPart(shape_.n, rows_max);
    blocks_per_slice_ = CeilDivide(shape_.n, rows_per_block_);
    blocks_ = slices * blocks_per_slice_;
    return;
  }
  has_whole_slices_ = true;
  rows_per_block_ = shape_.n;
  slices_per_block_ = std::clamp(rows_max / shape_.n, int64_t{1}, shape_.slices_per_unit);
  blocks_per_unit_ = CeilDivide(shape_.slices_per_unit, slices_per_block_);
  blocks_ = shape_.units * blocks_per_unit_;
}

void RowsPlan::CutKeys() {
  const double key_multiply_adds =
      static_cast<double>(RowsOfSlot()) *
      (static_cast<double>(shape_.d) + static_cast<double>(dv_) + kExpMultiplyAdds);
  const double multiply_adds =
      key_multiply_adds * static_cast<double>(shape_.m) * static_cast<double>(blocks_);
  const double tile_multiply_adds =
      std::clamp(multiply_adds / 4, static_cast<double>(kTileMultiplyAddsMin),
                 static_cast<double>(kTileMultiplyAdds));
  const double tile_keys = std::min(
      tile_multiply_adds / key_multiply_adds,
      static_cast<double>(kTileElements) / static_cast<double>(std::max<int64_t>(shape_.d, 1)));
  split_keys_ = shape_.m;
  if (output_ != Output::kWeights && tile_keys < static_cast<double>(shape_.m)) {
    const int64_t steps = CeilDivide(shape_.m, kStepKeys);
    const int64_t steps_max = std::max<int64_t>(1, static_cast<int64_t>(tile_keys) / kStepKeys);
    const int64_t splits = CeilDivide(steps, steps_max);
    split_keys_ = CeilDivide(steps, splits) * kStepKeys;
  }
  splits_ = CeilDivide(shape_.m, split_keys_);
  if (splits_ == 1) {
    // Cost of a row beside its keys: its state, about 100 ns, and writing it.
    constexpr double kRowMultiplyAdds = 5000;
    constexpr double kWriteMultiplyAdds = 50;
    const double row_multiply_adds =
        kRowMultiplyAdds +
        kWriteMultiplyAdds * static_cast<double>(dv_ + std::min(columns_, top_k_ + kPaddingMax));
    const double block_multiply_adds = key_multiply_adds * static_cast<double>(shape_.m) +
                                       static_cast<double>(RowsOfSlot()) * row_multiply_adds +
                                       static_cast<double>(kCallMultiplyAdds);
    const auto fitting =
        static_cast<int64_t>(static_cast<double>(kTileMultiplyAddsMin) / block_multiply_adds);
    blocks_per_tile_ = EvenPart(blocks_, std::clamp<int64_t>(fitting, 1, blocks_));
  }
  block_tiles_ = CeilDivide(blocks_, blocks_per_tile_) * splits_;
}

absl::Duration RowsPlan::PredictCost(double gflops) const {
  constexpr double kFixedSeconds = 2e-6;
  const auto rows = static_cast<double>(shape_.Rows());
  const double scores = rows * static_cast<double>(shape_.m);
  const double steps =
      static_cast<double>(blocks_) * static_cast<double>(CeilDivide(shape_.m, kStepKeys));
  const double multiply_adds = scores * static_cast<double>(shape_.d + dv_ + kExpMultiplyAdds) +
                               2 * steps * static_cast<double>(kCallMultiplyAdds) +
                               rows * static_cast<double>(dv_);
  // Cost of a row's state, beside its scores.
  constexpr double kRowSeconds = 50e-9;
  const double elements =
      (rows + static_cast<double>(shape_.units) * static_cast<double>(shape_.m)) *
      static_cast<double>(shape_.d + dv_);
  const double top_k_seconds =
      output_ == Output::kTopK ? rows * TopKSeconds(top_k_, shape_.m, columns_) : 0.0;
  return absl::Seconds(
      kFixedSeconds + rows * kRowSeconds + top_k_seconds +
      std::max(2e-9 * multiply_adds / std::max(gflops, 0.1), elements / kElementsReadPerSecond));
}

int64_t RowsPlan::SlotBytes() const {
  if (output_ == Output::kContext) return ContextRows::SumBytes(RowsOfSlot(), dv_);
  return RowsOfSlot() * (static_cast<int64_t>(sizeof(int64_t)) + top_k_ * 8);
}

int64_t RowsPlan::SeldomBytes() const {
  return output_ == Output::kContext ? ContextRows::InfinityBytes(RowsOfSlot(), dv_) : 0;
}

RowsPlan::Block RowsPlan::GetBlock(int64_t index) const {
  if (!has_whole_slices_) {
    const int64_t query = index % blocks_per_slice_ * rows_per_block_;
    return {.index = index,
            .slice = index / blocks_per_slice_,
            .query = query,
            .rows = std::min(rows_per_block_, shape_.n - query)};
  }
  const int64_t first = index % blocks_per_unit_ * slices_per_block_;
  const int64_t slices = std::min(slices_per_block_, shape_.slices_per_unit - first);
  return {.index = index,
          .slice = index / blocks_per_unit_ * shape_.slices_per_unit + first,
          .query = 0,
          .rows = slices * shape_.n};
}

// A tile that runs has room for the best of its keys, row by row, and for those of all keys if it
// merges a block. It has a seat of TileScratch meanwhile: there are BlasCallsMax().
int64_t RowsPlan::TopBytesOfTiles() const {
  if (output_ != Output::kTopK) return 0;
  const int64_t tiles = std::min<int64_t>(block_tiles_, BlasCallsMax());
  const int64_t merging = splits_ > 1 ? std::min(blocks_, tiles) : 0;
  return RowsOfSlot() * static_cast<int64_t>(sizeof(TopEntry)) *
         (tiles * TopK::Room(top_k_, split_keys_) + merging * TopK::Room(top_k_, shape_.m));
}

int64_t RowsPlan::state_bytes() const {
  return (splits_ > 1 ? blocks_ * splits_ * (SlotBytes() + SeldomBytes()) : 0) + TopBytesOfTiles();
}

absl::StatusOr<std::unique_ptr<PartialRows>> RowsPlan::AllocatePartials() const {
  if (splits_ == 1) return std::unique_ptr<PartialRows>();
  return PartialRows::Allocate(blocks_, splits_, SlotBytes(), SeldomBytes());
}

absl::Status RowsPlan::ComputeTile(int64_t tile, const AttentionProblem& problem,
                                   const AttentionResults& results, PartialRows* partials) const {
  if (tile >= block_tiles_) {
    FillUnattended(problem, results, unattended_, tile - block_tiles_);
    return absl::OkStatus();
  }
  const ScratchScope scope;
  const KeyMask mask(problem, shape_);
  const int64_t split = tile % splits_;
  const int64_t first = tile / splits_ * blocks_per_tile_;
  const int64_t last = std::min(first + blocks_per_tile_, blocks_);
  for (int64_t block = first; block < last; ++block) {
    const KeyRange keys = {split * split_keys_, std::min((split + 1) * split_keys_, shape_.m)};
    const Work work = {problem, results, mask, GetBlock(block), keys};
    absl::Status status = ComputeWork(work, split, partials);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RowsPlan::ComputeWork(const Work& work, int64_t split, PartialRows* partials) const {
  if (output_ == Output::kWeights) return ComputeWeights(work);
  if (output_ == Output::kTopK) return ComputeTopK(work, split, partials);
  if (splits_ > 1) {
    absl::Status status = ComputeContext(work, ContextOf(work.block, split, *partials));
    if (status.ok() && partials->IsLast(work.block.index)) MergeContext(work, *partials);
    return status;
  }
  TileScratch scratch;
  const absl::StatusOr<float*> floats =
      scratch.Get(CeilDivide(SlotBytes() + SeldomBytes(), static_cast<int64_t>(sizeof(float))));
  if (!floats.ok()) return floats.status();
  auto* const memory = reinterpret_cast<std::byte*>(*floats);
  const ContextRows rows = ContextIn(memory, memory + SlotBytes());
  absl::Status status = ComputeContext(work, rows);
  if (status.ok()) WriteContext(work, rows);
  return status;
}

KeyRange RowsPlan::AttendedKeys(const Work& work) const {
  KeyRange keys = {work.keys.end, work.keys.begin};
  for (int64_t i = 0; i < work.block.rows; ++i) {
    const int64_t row = work.block.query + i;
    const KeyRange range = work.mask.Range(work.block.slice + row / shape_.n, row % shape_.n);
    if (range.end <= range.begin) continue;
    keys.begin = std::min(keys.begin, range.begin);
    keys.end = std::max(keys.end, range.end);
  }
  keys.begin = std::max(keys.begin, work.keys.begin) / kStepKeys * kStepKeys;
  keys.end = std::min(keys.end, work.keys.end);
  return keys;
}

absl::Status RowsPlan::MaskedScores(const Work& work, int64_t key, int64_t count, float* scores,
                                    int64_t stride) const {
  const AttentionProblem& problem = work.problem;
  const int64_t unit = work.block.slice / shape_.slices_per_unit;
  const int64_t query_matrix =
      shape_.QueryMatrix(unit) + work.block.slice - unit * shape_.slices_per_unit;
  absl::Status status =
      MultiplyBlock({.queries = problem.queries,
                     .query_index = (query_matrix * shape_.n + work.block.query) * shape_.d,
                     .rows = work.block.rows,
                     .keys = problem.keys,
                     .key_index = (shape_.KeyMatrix(unit) * shape_.m + key) * shape_.d,
                     .key_count = count,
                     .depth = shape_.d},
                    scores, stride);
  if (!status.ok()) return status;
  for (int64_t i = 0; i < work.block.rows; ++i) {
    const int64_t row = work.block.query + i;
    work.mask.ToStage(work.block.slice + row / shape_.n, row % shape_.n, key, count,
                      scores + i * stride);
  }
  return absl::OkStatus();
}

}  // namespace qkserve
