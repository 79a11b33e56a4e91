#include "core/scoring/packed_keys.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/block_product.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

// Cost of a block beside its rows and scores, about 1 us, in multiply-adds.
constexpr int64_t kBlockMultiplyAdds = 50'000;

// Rows that take so long to finish that a block can have fewer of them.
bool IsLongToFinish(int64_t finish) { return finish > kTileMultiplyAdds / kBlockRows; }

}  // namespace

KeySplits SplitKeys(const KeySizes& sizes) {
  // The stages of a score count too, so that with a short d a split is not a hundred times as
  // much work.
  const int64_t columns = sizes.d + sizes.dv + kExpMultiplyAdds;
  const int64_t keys_max = kSplitElements / columns;
  KeySplits splits;
  splits.keys = std::max(keys_max / kStepKeys, int64_t{1}) * kStepKeys;
  splits.count = std::max(CeilDivide(sizes.m, splits.keys), int64_t{1});
  return splits;
}

PackedKeys::PackedKeys(const KeySizes& sizes, const Types& types)
    : KeySource(sizes), types_(types), splits_(SplitKeys(sizes)) {}

RowCut PackedKeys::Cut(absl::Span<const ScoreRequest* const> requests) const {
  RowCut cut(sizes(), splits_);
  // Rows that are long to finish have blocks of their own. In a block rows with the same reducer
  // follow one another.
  for (const bool is_long : {false, true}) {
    Section section = {.first_row = cut.rows(), .value_end = cut.rows(), .end_row = 0};
    for (const RowReducer* reducer : AllReducers()) {
      for (const ScoreRequest* request : requests) {
        const bool has_scores = request->shape.products > 0;
        if (!has_scores || &ReducerOf(request->problem.output) != reducer) continue;
        const int64_t finish = reducer->FinishMultiplyAdds(request->problem, sizes(), splits_);
        if (IsLongToFinish(finish) != is_long) continue;
        cut.AddRows(*request, *reducer);
        section.finish = std::max(section.finish, finish);
        section.keep = std::max(section.keep, reducer->KeepMultiplyAdds());
      }
      if (reducer->ReadsValues()) section.value_end = cut.rows();
    }
    section.end_row = cut.rows();
    CutSection(section, cut);
  }
  cut.CutTiles();
  return cut;
}

// Cuts a section into blocks.
void PackedKeys::CutSection(const Section& section, RowCut& cut) const {
  // Queries of a block and their context stay in the cache.
  const int64_t row_elements = std::max<int64_t>(sizes().d + PaddedColumns(sizes().dv), 1);
  const int64_t fitting = std::min(kBlockElements / row_elements,
                                   kTileMultiplyAdds / std::max<int64_t>(section.finish, 1));
  const int64_t rows_max = std::clamp(fitting, int64_t{1}, kBlockRows);
  for (int64_t first = section.first_row; first < section.end_row;) {
    const int64_t rows = std::min(rows_max, section.end_row - first);
    const int64_t value_rows = std::clamp(section.value_end - first, int64_t{0}, rows);
    BlockRun run = {.first_row = first, .block_rows = rows, .chunk_rows = rows};
    if (rows == rows_max && value_rows == rows) {
      run.blocks = (section.value_end - first) / rows;
    } else if (rows == rows_max && value_rows == 0) {
      run.blocks = (section.end_row - first) / rows;
    }
    const double block_tiles = CutKeys(section, {rows, value_rows}, run);
    cut.AddRun(run, block_tiles);
    first += run.blocks * rows;
  }
}

// Decides the run's parts. Returns the tiles that a block of one part is worth.
double PackedKeys::CutKeys(const Section& section, const RunRows& run_rows, BlockRun& run) const {
  const auto m = static_cast<double>(sizes().m);
  // Panels are multiplied whole.
  const auto padded_m = static_cast<double>(PanelCount() * kPanelKeys);
  const auto rows = static_cast<double>(run_rows.rows);
  const auto value_rows = static_cast<double>(run_rows.value_rows);
  const auto d = static_cast<double>(sizes().d);
  const auto dv = static_cast<double>(PaddedColumns(sizes().dv));
  const double elements = padded_m * (d + (run_rows.value_rows > 0 ? dv : 0)) + rows * d;
  const double multiply_adds =
      padded_m * (rows * d + value_rows * dv) + m * rows * static_cast<double>(kExpMultiplyAdds);
  const double keep_multiply_adds = m * (rows - value_rows) * static_cast<double>(section.keep);
  const double tiles = std::max(elements / static_cast<double>(kTileElements),
                                multiply_adds / static_cast<double>(kPassTileMultiplyAdds));
  // A part is some splits; if it would still be more than a tile at worst, and has no values, which
  // must be summed split by split, some panels.
  const double worst_tiles =
      std::max(elements / static_cast<double>(kTileElements),
               (multiply_adds + keep_multiply_adds) / static_cast<double>(kTileMultiplyAdds));
  double parts = std::floor(std::clamp(tiles + 0.5, 1.0, static_cast<double>(splits_.count)));
  if (run_rows.value_rows == 0 && worst_tiles > parts + 1) {
    parts = std::min(std::ceil(worst_tiles), static_cast<double>(PanelCount()));
  }
  run.parts = static_cast<int64_t>(parts);
  const double block_multiply_adds = multiply_adds + static_cast<double>(kBlockMultiplyAdds) +
                                     rows * static_cast<double>(section.finish);
  return std::max(tiles, block_multiply_adds / static_cast<double>(kPassTileMultiplyAdds));
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
                      std::min(run.keys.count * kPanelKeys, keys.end - key), sums.out, sums.stride,
                      sums.infinities);
    panel += run.keys.count;
  }
}

ScoreWork PackedKeys::WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const {
  const auto m = static_cast<double>(sizes().m);
  const auto d = static_cast<double>(sizes().d);
  const bool reads_values = ReducerOf(problem.output).ReadsValues();
  const double dv = reads_values ? static_cast<double>(sizes().dv) : 0.0;
  const auto matrices = static_cast<double>(shape.KeyMatrices());
  const double bytes = matrices * m *
                       (d * static_cast<double>(ElementBytes(types_.keys)) +
                        dv * static_cast<double>(ElementBytes(types_.values)));
  const auto rows = static_cast<double>(shape.Rows());
  // Panels are multiplied whole.
  const auto padded_m = static_cast<double>(PanelCount() * kPanelKeys);
  // Time of a pass for a matrix, beside reading its keys, and what it knows of a row.
  constexpr double kMatrixSeconds = 0.5e-6;
  constexpr double kRowSeconds = 100e-9;
  return {.multiply_adds = rows * (padded_m * (d + dv) + m * kExpMultiplyAdds),
          .row_seconds = rows * kRowSeconds,
          .read_seconds = matrices * kMatrixSeconds + bytes / kPanelBytesPerSecond};
}

StateExtent PackedKeys::StateExtentOf(const ScoreShape& shape) const {
  // How its rows are stacked depends on the pass. A part has at least a panel of the keys.
  return {.rows = shape.Rows(),
          .block_rows = kBlockRows,
          .parts = PanelCount(),
          .splits = splits_.count};
}

}  // namespace qkserve
