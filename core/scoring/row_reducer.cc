#include "core/scoring/row_reducer.h"

namespace qkserve {

const RowReducer& ReducerOf(Output output) {
  if (output == Output::kTopK) return TopKReducer();
  if (output == Output::kContext) return ContextReducer();
  return output == Output::kWeights ? WeightsReducer() : ScoresReducer();
}

absl::Span<const RowReducer* const> AllReducers() {
  static const RowReducer* const reducers[] = {&ContextReducer(), &TopKReducer(), &WeightsReducer(),
                                               &ScoresReducer()};
  return reducers;
}

std::byte* ResultOf(const BlockRow& row, int64_t columns) {
  return row.request->results.result +
         row.result_row * columns * ElementBytes(row.request->problem.result_type);
}

void WriteLogSumExp(const BlockRow& row, float log_sum_exp) {
  float* const results = row.request->results.log_sum_exp;
  if (results != nullptr) results[row.result_row] = log_sum_exp;
}

}  // namespace qkserve
