#include "core/scoring/fill_unattended.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/score_mask.h"
#include "core/scoring/score_shape.h"

namespace qkserve {
namespace {

// `count` elements of `type` from element `first` on.
void FillElements(DataType type, float value, int64_t first, int64_t count, std::byte* result) {
  if (type == DataType::kFloat32) {
    std::fill_n(reinterpret_cast<float*>(result) + first, count, value);
    return;
  }
  uint16_t narrow = 0;
  ConvertFromFloat32(type, &value, 1, reinterpret_cast<std::byte*>(&narrow));
  std::fill_n(reinterpret_cast<uint16_t*>(result) + first, count, narrow);
}

}  // namespace

int64_t UnattendedColumns::Places() const {
  return rows * std::max<int64_t>(columns - first, first == 0 ? 1 : 0);
}

UnattendedColumns UnattendedColumnsOf(const ScoreRequest& request, const KeySizes& sizes) {
  const RowReducer& reducer = ReducerOf(request.problem.output);
  if (reducer.NeedsAllScores()) return {};
  UnattendedColumns unattended = {.rows = request.shape.Rows(),
                                  .first = reducer.KeyColumns(request.problem, sizes),
                                  .columns = reducer.ResultColumns(request.problem, sizes)};
  const bool fills_with_row = sizes.m > 0 && unattended.columns - unattended.first <= kPaddingMax;
  if (fills_with_row) unattended.rows = 0;
  return unattended;
}

void FillUnattended(const ScoreRequest& request, const UnattendedColumns& columns, int64_t tile) {
  const AttentionResults& results = request.results;
  const float empty = ReducerOf(request.problem.output).EmptyResult();
  const int64_t width = std::max<int64_t>(columns.columns - columns.first, 1);
  const int64_t begin = tile * kFillPlaces;
  const int64_t end = std::min(begin + kFillPlaces, columns.Places());
  const auto fill = [&](int64_t first, int64_t count) {
    FillElements(request.problem.result_type, empty, first, count, results.result);
    if (results.indices != nullptr) std::fill_n(results.indices + first, count, -1);
  };
  if (columns.first > 0) {
    for (int64_t place = begin; place < end;) {
      const int64_t column = place % width;
      const int64_t count = std::min(width - column, end - place);
      fill(place / width * columns.columns + columns.first + column, count);
      place += count;
    }
    return;
  }
  if (columns.columns > 0) fill(begin, end - begin);
  if (results.log_sum_exp != nullptr) {
    const int64_t row = CeilDivide(begin, width);
    std::fill_n(results.log_sum_exp + row, CeilDivide(end, width) - row, kNotAttended);
  }
}

}  // namespace qkserve
