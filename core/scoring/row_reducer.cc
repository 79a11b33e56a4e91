#include "core/scoring/row_reducer.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/algorithm/container.h"
#include "core/kernels/blas.h"

namespace qkserve {

namespace {

using GetReducer = const RowReducer& (*)();

// The reducer of each output, in the order of the outputs' values.
constexpr GetReducer kReducers[] = {
    ScoresReducer,   // kScores
    ScoresReducer,   // kCapped
    ScoresReducer,   // kMasked
    WeightsReducer,  // kWeights
    ContextReducer,  // kContext
    TopKReducer,     // kTopK
};
static_assert(std::size(kReducers) == kOutputNames.size());

std::vector<const RowReducer*> EachReducerOnce() {
  std::vector<const RowReducer*> reducers;
  for (const GetReducer get : kReducers) {
    if (!absl::c_linear_search(reducers, &get())) reducers.push_back(&get());
  }
  absl::c_stable_partition(reducers, [](const RowReducer* one) { return one->ReadsValues(); });
  return reducers;
}

}  // namespace

const RowReducer& ReducerOf(Output output) { return kReducers[static_cast<size_t>(output) - 1](); }

absl::Span<const RowReducer* const> AllReducers() {
  static const auto& reducers = *new std::vector<const RowReducer*>(EachReducerOnce());
  return reducers;
}

// A running tile has a seat of TileScratch, and there are BlasCallsMax() seats. If each block has
// one part, a running tile holds the rows of its block. If blocks have several parts, a running
// part holds its rows. While this part merges, it holds the rows of another part, too. In addition,
// each block holds the rows of one part that has ended.
int64_t PartRowsHeld(const KeyCut& cut, int64_t rows) {
  const int64_t running = BlasCallsMax() * std::min(rows, cut.block_rows);
  if (cut.is_scratch) return std::min(rows, running);
  return std::min(rows * cut.parts, rows + 2 * running);
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
