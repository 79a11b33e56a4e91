#ifndef QKSERVE_SERVER_RPC_V1_SCORE_H_
#define QKSERVE_SERVER_RPC_V1_SCORE_H_

#include "absl/status/statusor.h"
#include "core/batching/job.h"
#include "qkserve/v1/scoring.pb.h"
#include "server/admission/responder.h"
#include "server/admission/score_call.h"

namespace qkserve {

// Conversions between the messages of qkserve.v1.ScoringService and the protocol-neutral score
// call.

// Makes a call whose views point into `request`, which must outlive it. The caller sets what
// `request` does not tell: tenant, priority, permissions, arrival, deadline and request_bytes.
// INVALID_ARGUMENT names the output or type that is unknown. Takes a time that does not depend on
// the tensors' sizes.
absl::StatusOr<ScoreCall> DecodeScoreCall(const v1::ScoreRequest& request);

// Copies the result into `response`. Throws std::bad_alloc if there is no memory.
void EncodeScoreResponse(const ComputedScore& result, const ScoreReceipt& receipt,
                         v1::ScoreResponse& response);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_V1_SCORE_H_
