#include "core/scoring/inline_keys.h"

#include <algorithm>

#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"
#include "core/scoring/direct_scores.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

double KeyMultiplyAdds(int64_t rows, const KeySizes& sizes) {
  return static_cast<double>(rows) *
         (static_cast<double>(sizes.d) + static_cast<double>(sizes.dv) + kExpMultiplyAdds);
}

// A step of a block must not cost more than a tile, whatever d and dv are, and its results must
// stay in the cache.
int64_t BlockRowsMax(int64_t row_elements, const KeySizes& sizes) {
  const double step_rows =
      static_cast<double>(kTileMultiplyAdds) /
      (static_cast<double>(kStepKeys) *
       (static_cast<double>(sizes.d) + static_cast<double>(sizes.dv) + kExpMultiplyAdds));
  const auto rows_max =
      static_cast<int64_t>(std::clamp(step_rows, 1.0, static_cast<double>(kBlockRows)));
  return std::clamp(kBlockElements / std::max<int64_t>(row_elements, 1), int64_t{1}, rows_max);
}

KeySizes SizesOf(const AttentionProblem& problem, const ScoreShape& shape) {
  const bool reads_values = ReducerOf(problem.output).ReadsValues();
  return {.matrices = shape.KeyMatrices(),
          .m = shape.m,
          .d = shape.d,
          .dv = reads_values ? problem.values->shape.back() : 0};
}

}  // namespace

KeySplits InlineKeys::CutKeys(const BlockCut& cut, const KeySizes& sizes) {
  const double key_multiply_adds = KeyMultiplyAdds(cut.block_rows, sizes);
  const double multiply_adds = key_multiply_adds * static_cast<double>(sizes.m) *
                               static_cast<double>(cut.blocks * sizes.matrices);
  // Requests that are worth less than four tiles are still cut in four, so that workers can share
  // them.
  const double tile_multiply_adds =
      std::clamp(multiply_adds / 4, static_cast<double>(kTileMultiplyAddsMin),
                 static_cast<double>(kTileMultiplyAdds));
  const double tile_keys = std::min(
      tile_multiply_adds / key_multiply_adds,
      static_cast<double>(kTileElements) / static_cast<double>(std::max<int64_t>(sizes.d, 1)));
  if (tile_keys >= static_cast<double>(sizes.m)) return {.keys = sizes.m, .count = 1};
  const int64_t steps = CeilDivide(sizes.m, kStepKeys);
  const int64_t steps_max = std::max<int64_t>(1, static_cast<int64_t>(tile_keys) / kStepKeys);
  const int64_t split_keys = CeilDivide(steps, CeilDivide(steps, steps_max)) * kStepKeys;
  return {.keys = split_keys, .count = CeilDivide(sizes.m, split_keys)};
}

InlineKeys::BlockCut InlineKeys::CutBlocks(const AttentionProblem& problem, const ScoreShape& shape,
                                           const KeySizes& sizes) {
  BlockCut cut;
  const RowReducer& reducer = ReducerOf(problem.output);
  if (shape.products == 0 || reducer.NeedsAllScores()) return cut;
  const int64_t rows_max = BlockRowsMax(reducer.KeyColumns(problem, sizes), sizes);
  if (shape.n > rows_max || shape.n >= kBlockRows / 2) {
    // Blocks end where slices do, so that a causal mask leaves out as much as it can.
    cut.chunk_rows = shape.n;
    cut.block_rows = EvenPart(shape.n, rows_max);
  } else {
    // Slices of a few rows go together if they share their keys.
    cut.chunk_rows = shape.ProductRows();
    cut.block_rows = std::clamp(rows_max / shape.n, int64_t{1}, shape.slices_per_product) * shape.n;
  }
  cut.blocks =
      shape.Rows() / sizes.matrices / cut.chunk_rows * CeilDivide(cut.chunk_rows, cut.block_rows);
  cut.splits = CutKeys(cut, sizes);
  return cut;
}

InlineKeys::InlineKeys(const AttentionProblem& problem, const ScoreShape& shape)
    : KeySource(SizesOf(problem, shape)), cut_(CutBlocks(problem, shape, sizes())) {
  if (!problem.values.has_value()) return;
  value_type_ = problem.values->data_type;
  values_ = problem.values->data;
}

RowCut InlineKeys::Cut(absl::Span<const ScoreRequest* const> requests) const {
  const ScoreRequest& request = *requests.front();
  if (request.shape.products == 0) return RowCut(sizes(), {});
  const RowReducer& reducer = ReducerOf(request.problem.output);
  RowCut rows(sizes(), cut_.splits);
  rows.AddRows(request, reducer);
  const BlockRun run = {.block_rows = cut_.block_rows,
                        .chunk_rows = cut_.chunk_rows,
                        .blocks = cut_.blocks,
                        .parts = cut_.splits.count};
  const double block_multiply_adds =
      KeyMultiplyAdds(cut_.block_rows, sizes()) * static_cast<double>(sizes().m) +
      static_cast<double>(cut_.block_rows) *
          static_cast<double>(reducer.FinishMultiplyAdds(request.problem, sizes(), cut_.splits)) +
      static_cast<double>(kCallMultiplyAdds);
  rows.AddRun(run, block_multiply_adds / static_cast<double>(kTileMultiplyAddsMin));
  rows.CutTiles();
  return rows;
}

absl::Status InlineKeys::Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys,
                                  float* products, int64_t stride) const {
  const BlockRow& first = queries.rows.front();
  return MultiplyBlock({.queries = first.request->problem.queries,
                        .query_index = first.query_row * sizes().d,
                        .rows = static_cast<int64_t>(queries.rows.size()),
                        .keys = first.request->problem.keys,
                        .key_index = (matrix * sizes().m + keys.begin) * sizes().d,
                        .key_count = keys.end - keys.begin,
                        .depth = sizes().d},
                       products, stride);
}

void InlineKeys::AddWeightedValues(const float* weights, int64_t stride, int64_t rows,
                                   int64_t matrix, KeyRange keys, const ContextSums& sums) const {
  const int64_t index = (matrix * sizes().m + keys.begin) * sizes().dv;
  AddWeightedPanels(weights, stride, rows,
                    {.type = value_type_,
                     .data = values_ + index * ElementBytes(value_type_),
                     .columns = sizes().dv},
                    keys.end - keys.begin, sums.out, sums.stride, sums.infinities);
}

std::unique_ptr<Pass> InlineKeys::MakeDirectPass(const ScoreRequest& request) const {
  if (!ReducerOf(request.problem.output).NeedsAllScores()) return nullptr;
  return std::make_unique<DirectScores>(request);
}

ScoreWork InlineKeys::WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const {
  if (ReducerOf(problem.output).NeedsAllScores()) return DirectScores::WorkOf(shape);
  const auto rows = static_cast<double>(shape.Rows());
  const auto m = static_cast<double>(shape.m);
  const auto columns = static_cast<double>(sizes().d + sizes().dv);
  // A row's state, beside its scores.
  constexpr double kRowSeconds = 50e-9;
  ScoreWork work = {.row_seconds = rows * kRowSeconds,
                    .read_seconds = (rows + static_cast<double>(shape.products) * m) * columns /
                                    kElementsReadPerSecond};
  const double steps = static_cast<double>(cut_.blocks * sizes().matrices) *
                       static_cast<double>(CeilDivide(shape.m, kStepKeys));
  work.multiply_adds = rows * m * (columns + kExpMultiplyAdds) +
                       2 * steps * static_cast<double>(kCallMultiplyAdds) +
                       rows * static_cast<double>(sizes().dv);
  return work;
}

StateExtent InlineKeys::StateExtentOf(const ScoreShape& shape) const {
  return {.rows = shape.Rows(),
          .block_rows = cut_.block_rows,
          .parts = cut_.splits.count,
          .splits = cut_.splits.count,
          .is_scratch = cut_.splits.count == 1};
}

}  // namespace qkserve
