#include "core/scoring/inline_keys.h"

#include <algorithm>

#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

KeySizes SizesOf(const AttentionProblem& problem, const ScoreShape& shape) {
  const bool reads_values = ReducerOf(problem.output).ReadsValues();
  return {.matrices = shape.KeyMatrices(),
          .m = shape.m,
          .d = shape.d,
          .dv = reads_values ? problem.values->shape.back() : 0};
}

}  // namespace

InlineKeys::InlineKeys(const AttentionProblem& problem, const ScoreShape& shape)
    : KeySource(SizesOf(problem, shape)), problem_(problem) {
  const RowReducer& reducer = ReducerOf(problem.output);
  if (reducer.NeedsAllScores()) direct_cut_ = DirectScores::CutOf(shape);
  if (shape.products == 0 || reducer.NeedsAllScores()) return;
  CutRows(reducer.KeyColumns(problem, sizes_), shape);
  CutKeys();
}

double InlineKeys::KeyMultiplyAdds() const {
  return static_cast<double>(key_cut_.block_rows) * (sizes_.d + sizes_.dv + kExpMultiplyAdds);
}

// Decides how rows are cut into blocks. A row has `columns` results.
void InlineKeys::CutRows(int64_t columns, const ScoreShape& shape) {
  // A step of a block must not cost more than a tile, whatever d and dv are, and the block's
  // results must stay in the cache.
  const int64_t step_work = kStepKeys * (sizes_.d + sizes_.dv + kExpMultiplyAdds);
  const int64_t rows_max = std::clamp(
      std::min(kBlockElements / std::max<int64_t>(columns, 1), kTileMultiplyAdds / step_work),
      int64_t{1}, kBlockRows);
  if (shape.n > rows_max || shape.n >= kBlockRows / 2) {
    // Blocks end where slices end, because a causal mask then excludes the most keys.
    chunk_rows_ = shape.n;
    key_cut_.block_rows = EvenPart(shape.n, rows_max);
  } else {
    // Short slices that share their keys go into one block.
    chunk_rows_ = shape.ProductRows();
    key_cut_.block_rows =
        std::clamp(rows_max / shape.n, int64_t{1}, shape.slices_per_product) * shape.n;
  }
  blocks_ =
      shape.Rows() / sizes_.matrices / chunk_rows_ * CeilDivide(chunk_rows_, key_cut_.block_rows);
}

void InlineKeys::CutKeys() {
  // A request with less work than four full tiles is cut into four tiles, so that workers can share
  // it.
  const double tile_multiply_adds =
      std::clamp<double>(KeyMultiplyAdds() * sizes_.m * (blocks_ * sizes_.matrices) / 4,
                         kTileMultiplyAddsMin, kTileMultiplyAdds);
  const double tile_keys =
      std::min(tile_multiply_adds / KeyMultiplyAdds(),
               static_cast<double>(kTileElements) / std::max<int64_t>(sizes_.d, 1));
  key_cut_.split_keys = sizes_.m;
  if (tile_keys < sizes_.m) {
    const int64_t steps = CeilDivide(sizes_.m, kStepKeys);
    const int64_t steps_max = std::max<int64_t>(static_cast<int64_t>(tile_keys) / kStepKeys, 1);
    key_cut_.split_keys = CeilDivide(steps, CeilDivide(steps, steps_max)) * kStepKeys;
  }
  key_cut_.parts = key_cut_.splits = CeilDivide(sizes_.m, key_cut_.split_keys);
  key_cut_.is_scratch = key_cut_.parts == 1;
}

RowCut InlineKeys::Cut(absl::Span<const ScoreRequest* const> requests) const {
  const ScoreRequest& request = *requests.front();
  RowCut cut(*this);
  if (request.shape.products == 0) return cut;
  const RowReducer& reducer = ReducerOf(request.problem.output);
  const double finish = reducer.CostOf(request.problem, *this).finish;
  const double block_multiply_adds =
      KeyMultiplyAdds() * sizes_.m + key_cut_.block_rows * finish + kCallMultiplyAdds;
  cut.AddRows(request, reducer);
  cut.AddRun({.block_rows = key_cut_.block_rows,
              .chunk_rows = chunk_rows_,
              .blocks = blocks_,
              .parts = key_cut_.parts,
              .block_tiles = block_multiply_adds / kTileMultiplyAddsMin});
  return cut;
}

absl::Status InlineKeys::Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys,
                                  float* products, int64_t stride) const {
  return MultiplyBlock({.queries = problem_.queries,
                        .query_index = queries.rows.front().query_row * sizes_.d,
                        .rows = static_cast<int64_t>(queries.rows.size()),
                        .keys = problem_.keys,
                        .key_index = (matrix * sizes_.m + keys.begin) * sizes_.d,
                        .key_count = keys.end - keys.begin,
                        .depth = sizes_.d},
                       products, stride);
}

void InlineKeys::AddWeightedValues(const float* weights, int64_t stride, int64_t rows,
                                   int64_t matrix, KeyRange keys, const ContextSums& sums) const {
  const TensorView& values = *problem_.values;
  const int64_t index = (matrix * sizes_.m + keys.begin) * sizes_.dv;
  const std::byte* const data = values.data + index * ElementBytes(values.data_type);
  AddWeightedPanels(weights, stride, rows, {values.data_type, data, sizes_.dv},
                    keys.end - keys.begin, sums);
}

std::unique_ptr<Pass> InlineKeys::MakeDirectPass(const ScoreRequest& request) const {
  if (!ReducerOf(request.problem.output).NeedsAllScores()) return nullptr;
  return std::make_unique<DirectScores>(request, direct_cut_);
}

ScoreWork InlineKeys::WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const {
  if (ReducerOf(problem.output).NeedsAllScores()) return DirectScores::WorkOf(shape, direct_cut_);
  // The time for a row's state, without the row's scores.
  constexpr double kRowSeconds = 50e-9;
  const double rows = shape.Rows();
  const double m = shape.m;
  const double columns = sizes_.d + sizes_.dv;
  const double steps =
      static_cast<double>(blocks_ * sizes_.matrices) * CeilDivide(shape.m, kStepKeys);
  return {.multiply_adds = rows * m * (columns + kExpMultiplyAdds) + 2 * steps * kCallMultiplyAdds +
                           rows * sizes_.dv,
          .row_seconds = rows * kRowSeconds,
          .read_seconds = (rows + shape.products * m) * columns / kElementsReadPerSecond};
}

}  // namespace qkserve
