#include "core/scoring/score_cost.h"

#include <algorithm>

#include "core/scoring/row_reducer.h"

namespace qkserve {

ScoreCost PredictCost(const KeySource& source, const AttentionProblem& problem,
                      const ScoreShape& shape, double gflops) {
  // The time for calls, queues and the first touch of the result.
  constexpr double kFixedSeconds = 2e-6;
  const ScoreWork work = source.WorkOf(problem, shape);
  const double row_seconds =
      work.row_seconds + shape.Rows() * ReducerOf(problem.output).CostOf(problem, source).seconds;
  const double multiply_seconds = 2e-9 * work.multiply_adds / std::max(gflops, 0.1);
  if (source.IsShared()) {
    const double shared = kFixedSeconds + work.read_seconds;
    return {.alone = absl::Seconds(shared + multiply_seconds + row_seconds),
            .shared = absl::Seconds(shared)};
  }
  // Memory is read while the products are computed.
  return {.alone = absl::Seconds(kFixedSeconds + row_seconds +
                                 std::max(multiply_seconds, work.read_seconds)),
          .shared = absl::ZeroDuration()};
}

int64_t StateBytes(const KeySource& source, const AttentionProblem& problem,
                   const ScoreShape& shape) {
  const RowReducer& reducer = ReducerOf(problem.output);
  // No state is needed if there are no scores, or if the reducer needs all scores, because these
  // are written as they are computed.
  if (shape.products == 0 || reducer.NeedsAllScores()) return 0;
  return reducer.StateBytes(problem, source, shape.Rows());
}

}  // namespace qkserve
