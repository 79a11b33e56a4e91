#ifndef QKSERVE_SERVER_ADMISSION_SCORE_OPTIONS_H_
#define QKSERVE_SERVER_ADMISSION_SCORE_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"
#include "server/admission/score_call.h"

namespace qkserve {

// Checks of a call's options, and their way into the problem. INVALID_ARGUMENT names the field,
// what came and what was expected.

// Options that can be checked without the tensors: attention, output, result_type, top_k,
// log_sum_exp.
absl::Status AdmitOptions(const ScoreCall& call, AttentionProblem& problem);

// Options that depend on the shape of the scores: key_lengths, mask and, of a call with inline
// keys, values. Moves mask and values out of the call. problem.output and problem.keys are set.
absl::Status AdmitShapedOptions(ScoreCall& call, const ScoreShape& shape,
                                AttentionProblem& problem);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SCORE_OPTIONS_H_
