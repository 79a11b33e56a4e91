#include "core/scoring/row_reducer.h"

namespace qkserve {

const RowReducer& ReducerOf(Output output) {
  switch (output) {
    case Output::kScores:
    case Output::kCapped:
    case Output::kMasked:
      return ScoresReducer();
    case Output::kWeights:
      return WeightsReducer();
    case Output::kContext:
      return ContextReducer();
    case Output::kTopK:
      break;
  }
  return TopKReducer();
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

}  // namespace qkserve
