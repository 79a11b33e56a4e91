#include "core/scoring/attention_plan.h"

#include "core/scoring/matrix_plan.h"
#include "core/scoring/partials.h"
#include "core/scoring/rows_plan.h"

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
