#include "core/key_sets/key_set_request.h"

#include <algorithm>

#include "core/kernels/blas.h"
#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"
#include "core/scoring/limits.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/top_k.h"

namespace qkserve {
namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

// Rows of best entries, each with its room, that parts of `rows` rows hold together at most. A part
// that runs has its own, and while it merges those of another part; a block keeps those of one part
// that has ended. A part that runs has a seat of TileScratch: there are BlasCallsMax(). A part has
// at least a panel of the keys.
int64_t TopRowsHeld(int64_t rows, int64_t panel_count) {
  const int64_t running = int64_t{2} * BlasCallsMax() * std::min(rows, kBlockRows);
  return std::min(rows * panel_count, rows + running);
}

}  // namespace

KeySplits SplitKeys(const KeySetLayout& layout, int64_t m) {
  // What is done with a score counts too, so that with a short d a split is not a hundred times as
  // much work.
  const int64_t columns = layout.d + layout.dv.value_or(0) + kExpMultiplyAdds;
  const int64_t keys_max = kSplitElements / columns;
  KeySplits splits;
  splits.keys = std::max(keys_max / kStepKeys, int64_t{1}) * kStepKeys;
  splits.count = std::max(CeilDivide(m, splits.keys), int64_t{1});
  return splits;
}

int64_t KeySetStateBytes(const KeySet& key_set, const AttentionProblem& problem,
                         const ScoreShape& shape) {
  // A pass computes nothing where there are no scores.
  if (shape.units == 0) return 0;
  if (problem.output == Output::kTopK) {
    return TopRowsHeld(shape.Rows(), key_set.panel_count()) *
           TopK::Room(problem.top_k, key_set.m()) * static_cast<int64_t>(sizeof(TopEntry));
  }
  if (problem.output == Output::kContext) {
    const KeySplits splits = SplitKeys(key_set.layout(), key_set.m());
    const int64_t padded_dv = PaddedColumns(key_set.layout().dv.value_or(0));
    return splits.count * ContextRows::BytesFor(shape.Rows(), padded_dv);
  }
  int64_t row_bytes = 0;
  if (problem.output == Output::kWeights && problem.result_type != DataType::kFloat32) {
    row_bytes += key_set.m() * kFloatBytes;
  }
  return shape.Rows() * row_bytes;
}

KeySetCost PredictKeySetCost(const KeySet& key_set, const AttentionProblem& problem,
                             const ScoreShape& shape, double gflops) {
  constexpr double kFixedSeconds = 2e-6;
  const KeySetLayout& layout = key_set.layout();
  const bool has_values = problem.output == Output::kContext;
  const auto m = static_cast<double>(key_set.m());
  const auto d = static_cast<double>(layout.d);
  const double dv = has_values ? static_cast<double>(layout.dv.value_or(0)) : 0.0;
  const auto matrices = static_cast<double>(shape.key_batch * shape.key_heads);
  const double bytes = matrices * m *
                       (d * static_cast<double>(ElementBytes(layout.key_type)) +
                        dv * static_cast<double>(ElementBytes(layout.value_type)));
  const auto rows = static_cast<double>(shape.Rows());
  // Panels are multiplied whole.
  const auto padded_m = static_cast<double>(key_set.panel_count() * kPanelKeys);
  const double multiply_adds = rows * (padded_m * (d + dv) + m * kExpMultiplyAdds);
  // Time of a pass for a matrix, beside reading its keys.
  constexpr double kMatrixSeconds = 0.5e-6;
  const double shared = kFixedSeconds + matrices * kMatrixSeconds + bytes / kPanelBytesPerSecond;
  // Beside the scores: what a pass knows of a row, and its top k.
  constexpr double kRowSeconds = 100e-9;
  double row_seconds = kRowSeconds;
  if (problem.output == Output::kTopK) {
    row_seconds += TopKSeconds(std::min(problem.top_k, key_set.m()), key_set.m(), problem.top_k);
  }
  const double own = 2e-9 * multiply_adds / std::max(gflops, 0.1) + rows * row_seconds;
  return {.alone = absl::Seconds(shared + own), .shared = absl::Seconds(shared)};
}

}  // namespace qkserve
