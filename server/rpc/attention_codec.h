#ifndef QKSERVE_SERVER_RPC_ATTENTION_CODEC_H_
#define QKSERVE_SERVER_RPC_ATTENTION_CODEC_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve {

// The options of a request. INVALID_ARGUMENT names the field, what came and what was expected.

// Those that can be checked without the tensors: attention, output, result_type, top_k.
absl::StatusOr<AttentionProblem> DecodeOptions(const v1::ScoreRequest& request);

// Those that depend on the shape of the scores: key_lengths, mask, values. Completes `problem`.
absl::Status DecodeShapedOptions(const v1::ScoreRequest& request, const ScoreShape& shape,
                                 AttentionProblem& problem);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_ATTENTION_CODEC_H_
