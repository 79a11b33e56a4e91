#include "core/scoring/matrix_plan.h"

#include <algorithm>

#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"
#include "core/scoring/limits.h"
#include "core/scoring/score_mask.h"

namespace qkserve {

MatrixPlan::MatrixPlan(const ScoreShape& shape) : shape_(shape) {
  if (shape_.units == 0) return;
  // Requests of more than a few tiles get full ones; smaller ones are still cut in four, so that
  // workers can share them.
  const double depth = static_cast<double>(std::max<int64_t>(shape_.d, 1));
  const double unit_multiply_adds =
      static_cast<double>(shape_.UnitRows()) * static_cast<double>(shape_.m) * depth;
  const double tile_multiply_adds =
      std::clamp(unit_multiply_adds * static_cast<double>(shape_.units) / 4,
                 static_cast<double>(kTileMultiplyAddsMin), static_cast<double>(kTileMultiplyAdds));

  int64_t rows = std::min(shape_.UnitRows(), kTileRows);
  int64_t keys = std::min(shape_.m, kTileResults / rows);
  rows = std::min(shape_.UnitRows(), kTileResults / keys);
  const auto is_too_much = [&] {
    return static_cast<double>(rows * keys) * depth > tile_multiply_adds ||
           static_cast<double>(rows + keys) * depth > static_cast<double>(kTileElements);
  };
  while (rows * keys > 1 && is_too_much()) {
    int64_t& longer = keys >= rows ? keys : rows;
    longer = CeilDivide(longer, 2);
  }
  tile_rows_ = EvenPart(shape_.UnitRows(), rows);
  tile_keys_ = EvenPart(shape_.m, keys);
  row_tiles_ = CeilDivide(shape_.UnitRows(), tile_rows_);
  key_tiles_ = CeilDivide(shape_.m, tile_keys_);

  if (row_tiles_ * key_tiles_ == 1) {
    const auto fitting =
        static_cast<int64_t>(static_cast<double>(kTileMultiplyAddsMin) /
                             (unit_multiply_adds + static_cast<double>(kCallMultiplyAdds)));
    units_per_tile_ = EvenPart(shape_.units, std::clamp<int64_t>(fitting, 1, shape_.units));
  }
  tile_count_ = CeilDivide(shape_.units, units_per_tile_) * row_tiles_ * key_tiles_;
}

absl::Duration MatrixPlan::PredictCost(double gflops) const {
  // Beside the tiles: calls, the first touch of the result.
  constexpr double kFixedSeconds = 2e-6;
  const double results = static_cast<double>(shape_.Rows()) * static_cast<double>(shape_.m);
  // Scaling, masking and narrowing a row of a tile, however short.
  constexpr double kRowSeconds = 15e-9;
  const double row_seconds =
      kRowSeconds * static_cast<double>(shape_.Rows()) * static_cast<double>(key_tiles_);
  const double calls = static_cast<double>(shape_.units) * static_cast<double>(row_tiles_) *
                       static_cast<double>(key_tiles_);
  const double multiply_seconds =
      2e-9 *
      (results * static_cast<double>(shape_.d) + calls * static_cast<double>(kCallMultiplyAdds)) /
      std::max(gflops, 0.1);
  const double read_seconds =
      (static_cast<double>(shape_.units) * static_cast<double>(shape_.UnitRows() + shape_.m) *
           static_cast<double>(shape_.d) +
       results) /
      kElementsReadPerSecond;
  return absl::Seconds(kFixedSeconds + row_seconds + std::max(multiply_seconds, read_seconds));
}

absl::Status MatrixPlan::ComputeTile(int64_t tile, const AttentionProblem& problem,
                                     const AttentionResults& results,
                                     PartialRows* /*partials*/) const {
  const int64_t tiles_per_unit = row_tiles_ * key_tiles_;
  if (tiles_per_unit > 1) {
    const int64_t row = tile % tiles_per_unit / key_tiles_ * tile_rows_;
    const int64_t key = tile % key_tiles_ * tile_keys_;
    return ComputeBlock({.unit = tile / tiles_per_unit,
                         .row = row,
                         .rows = std::min(tile_rows_, shape_.UnitRows() - row),
                         .key = key,
                         .keys = std::min(tile_keys_, shape_.m - key)},
                        problem, results.result);
  }
  const ScratchScope scope;
  const int64_t first = tile * units_per_tile_;
  const int64_t last = std::min(first + units_per_tile_, shape_.units);
  for (int64_t unit = first; unit < last; ++unit) {
    absl::Status status = ComputeBlock(
        {.unit = unit, .row = 0, .rows = shape_.UnitRows(), .key = 0, .keys = shape_.m}, problem,
        results.result);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool MatrixPlan::IsAttended(const Block& block, const KeyMask& mask) const {
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t row = block.unit * shape_.UnitRows() + block.row + i;
    const KeyRange range = mask.Range(row / shape_.n, row % shape_.n);
    const int64_t begin = std::max(range.begin, block.key);
    if (begin < std::min(range.end, block.key + block.keys)) return true;
  }
  return false;
}

absl::Status MatrixPlan::ComputeScores(const Block& block, const AttentionProblem& problem,
                                       float* scores, int64_t stride) const {
  const KeyMask mask(problem, shape_);
  if (problem.output == Output::kMasked && !IsAttended(block, mask)) {
    for (int64_t i = 0; i < block.rows; ++i) {
      std::fill_n(scores + i * stride, block.keys, kNotAttended);
    }
    return absl::OkStatus();
  }
  absl::Status status = MultiplyBlock(
      {.queries = problem.queries,
       .query_index = (shape_.QueryMatrix(block.unit) * shape_.n + block.row) * shape_.d,
       .rows = block.rows,
       .keys = problem.keys,
       .key_index = (shape_.KeyMatrix(block.unit) * shape_.m + block.key) * shape_.d,
       .key_count = block.keys,
       .depth = shape_.d},
      scores, stride);
  if (!status.ok()) return status;
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t row = block.unit * shape_.UnitRows() + block.row + i;
    mask.ToStage(row / shape_.n, row % shape_.n, block.key, block.keys, scores + i * stride);
  }
  return absl::OkStatus();
}

absl::Status MatrixPlan::ComputeBlock(const Block& block, const AttentionProblem& problem,
                                      std::byte* result) const {
  const int64_t first = (block.unit * shape_.UnitRows() + block.row) * shape_.m + block.key;
  if (problem.result_type == DataType::kFloat32) {
    return ComputeScores(block, problem, reinterpret_cast<float*>(result) + first, shape_.m);
  }
  TileScratch scratch;
  const absl::StatusOr<float*> scores = scratch.Get(block.rows * block.keys);
  if (!scores.ok()) return scores.status();
  absl::Status status = ComputeScores(block, problem, *scores, block.keys);
  if (!status.ok()) return status;
  const int64_t bytes = ElementBytes(problem.result_type);
  if (block.keys == shape_.m) {
    ConvertFromFloat32(problem.result_type, *scores, block.rows * block.keys,
                       result + first * bytes);
    return absl::OkStatus();
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    ConvertFromFloat32(problem.result_type, *scores + i * block.keys, block.keys,
                       result + (first + i * shape_.m) * bytes);
  }
  return absl::OkStatus();
}

}  // namespace qkserve
