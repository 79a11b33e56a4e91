#ifndef QKSERVE_SERVER_CODEC_H_
#define QKSERVE_SERVER_CODEC_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "core/attention/score_plan.h"
#include "core/batching/job.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve {

// Between wire and core. Every check of what a client sent happens here, in constant time and
// before anything is allocated.

struct DecodedScore {
  ScoreProblem problem;  // points into the request
  ScorePlan plan;
  int64_t result_bytes = 0;

  // What the request holds while it is in flight: its tensors, and the result three times:
  // computed, in the response message, and serialised by gRPC.
  int64_t in_flight_bytes = 0;
};

// `message_bytes_max` bounds the response. INVALID_ARGUMENT and RESOURCE_EXHAUSTED as in
// scoring.proto.
absl::StatusOr<DecodedScore> DecodeScoreRequest(const v1::ScoreRequest& request,
                                                int64_t message_bytes_max);

// `result` holds decoded.result_bytes.
void EncodeScoreResponse(const DecodedScore& decoded, const std::byte* result,
                         const JobReceipt& receipt, const std::string& kernel,
                         v1::ScoreResponse& response);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_CODEC_H_
