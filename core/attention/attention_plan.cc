#include "core/attention/attention_plan.h"

#include "core/attention/matrix_plan.h"
#include "core/attention/partial_rows.h"
#include "core/attention/rows_plan.h"

namespace qkserve {

absl::StatusOr<std::unique_ptr<PartialRows>> AttentionPlan::AllocatePartials() const {
  return std::unique_ptr<PartialRows>();
}

std::unique_ptr<const AttentionPlan> MakeAttentionPlan(const AttentionProblem& problem,
                                                       const ScoreShape& shape) {
  switch (problem.output) {
    case Output::kScores:
    case Output::kCapped:
    case Output::kMasked:
      return std::make_unique<MatrixPlan>(shape);
    case Output::kWeights:
    case Output::kContext:
    case Output::kTopK:
      return std::make_unique<RowsPlan>(problem, shape);
  }
  return nullptr;
}

}  // namespace qkserve
