#include "core/scoring/packed_keys.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/block_product.h"
#include "core/scoring/limits.h"

namespace qkserve {
namespace {

// The cost of a block, in multiply-adds, without its rows and scores: about 1 us.
constexpr int64_t kBlockMultiplyAdds = 50'000;

}  // namespace

PackedKeys::PackedKeys(const KeySizes& sizes, const Types& types)
    : KeySource(sizes), types_(types) {
  // The stages of a score count as work, too. Otherwise a split with a small d would be a hundred
  // times as much work.
  const int64_t keys_max = kSplitElements / (sizes.d + sizes.dv + kExpMultiplyAdds);
  key_cut_.split_keys = std::max(keys_max / kStepKeys, int64_t{1}) * kStepKeys;
  key_cut_.splits = std::max(CeilDivide(sizes.m, key_cut_.split_keys), int64_t{1});
  // The pass decides how rows are stacked. A part has at least one panel of the keys.
  key_cut_.block_rows = kBlockRows;
  key_cut_.parts = CeilDivide(sizes.m, kPanelKeys);
}

RowCut PackedKeys::Cut(absl::Span<const ScoreRequest* const> requests) const {
  RowCut cut(*this);
  // Rows that take long to finish are put into separate blocks, because such blocks may have fewer
  // rows. In a block, rows with the same reducer are consecutive.
  for (const bool is_long : {false, true}) {
    Section section = {.first_row = cut.rows(), .value_end = cut.rows(), .most = {.finish = 1}};
    for (const RowReducer* reducer : AllReducers()) {
      for (const ScoreRequest* request : requests) {
        const bool has_scores = request->shape.products > 0;
        if (!has_scores || &ReducerOf(request->problem.output) != reducer) continue;
        const RowCost cost = reducer->CostOf(request->problem, *this);
        if ((cost.finish > kTileMultiplyAdds / kBlockRows) != is_long) continue;
        cut.AddRows(*request, *reducer);
        section.most.finish = std::max(section.most.finish, cost.finish);
        section.most.keep = std::max(section.most.keep, cost.keep);
      }
      if (reducer->ReadsValues()) section.value_end = cut.rows();
    }
    CutSection(section, cut);
  }
  return cut;
}

// Cuts a section into blocks. The section ends with the last row of `cut`.
void PackedKeys::CutSection(const Section& section, RowCut& cut) const {
  // A block is small enough for its queries and their context to stay in the cache.
  const int64_t row_elements = std::max<int64_t>(sizes_.d + PaddedColumns(sizes_.dv), 1);
  const int64_t rows_max =
      std::clamp(std::min(kBlockElements / row_elements, kTileMultiplyAdds / section.most.finish),
                 int64_t{1}, kBlockRows);
  for (int64_t first = section.first_row; first < cut.rows();) {
    const int64_t rows = std::min(rows_max, cut.rows() - first);
    const int64_t value_rows = std::clamp(section.value_end - first, int64_t{0}, rows);
    BlockRun run = {.first_row = first, .block_rows = rows, .chunk_rows = rows};
    if (rows == rows_max && value_rows % rows == 0) {
      run.blocks = ((value_rows > 0 ? section.value_end : cut.rows()) - first) / rows;
    }
    CutKeys(section.most, value_rows, run);
    cut.AddRun(run);
    first += run.blocks * rows;
  }
}

// Decides the number of parts into which each block of the run is cut. `value_rows` rows of a block
// read values.
void PackedKeys::CutKeys(const RowCost& most, int64_t value_rows, BlockRun& run) const {
  const double m = sizes_.m;
  const double padded_m = key_cut_.parts * kPanelKeys;  // panels are multiplied whole
  const double rows = run.block_rows;
  const double d = sizes_.d;
  const double dv = PaddedColumns(sizes_.dv);
  const double elements = padded_m * (d + (value_rows > 0 ? dv : 0)) + rows * d;
  const double multiply_adds =
      padded_m * (rows * d + value_rows * dv) + m * rows * kExpMultiplyAdds;
  const double tiles = std::max(elements / kTileElements, multiply_adds / kPassTileMultiplyAdds);
  // A part consists of splits, because values must be summed split by split. If no values are read
  // and a split may be more work than a tile, a part consists of panels.
  const double keep_multiply_adds = m * (rows - value_rows) * most.keep;
  const double worst_tiles =
      std::max(elements / kTileElements, (multiply_adds + keep_multiply_adds) / kTileMultiplyAdds);
  run.parts = std::clamp<double>(tiles + 0.5, 1, key_cut_.splits);
  if (value_rows == 0 && worst_tiles > run.parts + 1) {
    run.parts = std::min<double>(std::ceil(worst_tiles), key_cut_.parts);
  }
  run.block_tiles = std::max(
      tiles, (multiply_adds + kBlockMultiplyAdds + rows * most.finish) / kPassTileMultiplyAdds);
}

absl::Status PackedKeys::Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys,
                                  float* products, int64_t stride) const {
  const int64_t first = keys.begin / kPanelKeys;
  const int64_t end = CeilDivide(keys.end, kPanelKeys);
  for (int64_t panel = first; panel < end;) {
    const PanelRun run = Panels(matrix, panel, end - panel);
    MultiplyPanels(queries.floats, static_cast<int64_t>(queries.rows.size()), run.keys,
                   products + (panel - first) * kPanelKeys, stride);
    panel += run.keys.count;
  }
  return absl::OkStatus();
}

void PackedKeys::AddWeightedValues(const float* weights, int64_t stride, int64_t rows,
                                   int64_t matrix, KeyRange keys, const ContextSums& sums) const {
  const int64_t end = CeilDivide(keys.end, kPanelKeys);
  for (int64_t panel = keys.begin / kPanelKeys; panel < end;) {
    const PanelRun run = Panels(matrix, panel, end - panel);
    const int64_t key = panel * kPanelKeys;
    AddWeightedPanels(weights + (key - keys.begin), stride, rows, run.values,
                      std::min(run.keys.count * kPanelKeys, keys.end - key), sums);
    panel += run.keys.count;
  }
}

ScoreWork PackedKeys::WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const {
  // The time of a pass for a matrix, without reading its keys, and the time for a row.
  constexpr double kMatrixSeconds = 0.5e-6;
  constexpr double kRowSeconds = 100e-9;
  const double m = sizes_.m;
  const double d = sizes_.d;
  const double dv = ReducerOf(problem.output).ReadsValues() ? sizes_.dv : 0;
  const double rows = shape.Rows();
  const double matrices = shape.KeyMatrices();
  const double padded_m = key_cut_.parts * kPanelKeys;  // panels are multiplied whole
  const double bytes =
      matrices * m * (d * ElementBytes(types_.keys) + dv * ElementBytes(types_.values));
  return {.multiply_adds = rows * (padded_m * (d + dv) + m * kExpMultiplyAdds),
          .row_seconds = rows * kRowSeconds,
          .read_seconds = matrices * kMatrixSeconds + bytes / kPanelBytesPerSecond};
}

}  // namespace qkserve
