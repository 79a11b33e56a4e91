#include "core/scoring/fill_unattended.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/scoring/score_mask.h"

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

UnattendedColumns UnattendedColumnsOf(const AttentionProblem& problem, const ScoreShape& shape,
                                      int64_t dv) {
  UnattendedColumns unattended = {.rows = shape.Rows()};
  if (problem.output == Output::kTopK) {
    unattended.columns = problem.top_k;
    unattended.first = std::min(problem.top_k, shape.m);
    if (shape.m > 0 && problem.top_k - shape.m <= kPaddingMax) unattended.rows = 0;
  } else if (shape.m > 0 ||
             (problem.output != Output::kContext && problem.output != Output::kWeights)) {
    unattended.rows = 0;
  } else {
    unattended.columns = problem.output == Output::kContext ? dv : 0;
  }
  return unattended;
}

void FillUnattended(const AttentionProblem& problem, const AttentionResults& results,
                    const UnattendedColumns& columns, int64_t tile) {
  const bool is_top_k = problem.output == Output::kTopK;
  const int64_t width = std::max<int64_t>(columns.columns - columns.first, 1);
  const int64_t begin = tile * kFillPlaces;
  const int64_t end = std::min(begin + kFillPlaces, columns.Places());
  const auto fill = [&](int64_t first, int64_t count) {
    FillElements(problem.result_type, is_top_k ? kNotAttended : 0.0F, first, count, results.result);
    if (is_top_k) std::fill_n(results.indices + first, count, -1);
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
