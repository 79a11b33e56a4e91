#ifndef QKSERVE_SERVER_RPC_CODEC_H_
#define QKSERVE_SERVER_RPC_CODEC_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/batching/job.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_store.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "qkserve/buffer.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve {

// Between wire and core. Every check of what a client sent happens here, before anything is
// allocated, in time that does not depend on the tensors' sizes.

struct DecodedScore {
  AttentionProblem problem;  // points into the request
  ScoreShape shape;

  // Keys and values, of the request or of the key set.
  std::shared_ptr<const KeySource> keys;
  std::shared_ptr<const KeySet> key_set;  // null for inline keys

  Shape result_shape;
  int64_t result_bytes = 0;
  int64_t indices_bytes = 0;      // 0: not asked for
  int64_t log_sum_exp_bytes = 0;  // likewise
  bool has_log_sum_exp = false;

  // What the request holds while it is in flight: its tensors, the results three times
  // (computed, in the response message, serialised by gRPC), and the state of its tiles.
  int64_t in_flight_bytes = 0;
};

// `message_bytes_max` bounds the response. `key_sets` has the key set that the request names.
// INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, DATA_LOSS and RESOURCE_EXHAUSTED as in
// scoring.proto.
absl::StatusOr<DecodedScore> DecodeScoreRequest(const v1::ScoreRequest& request,
                                                int64_t message_bytes_max,
                                                const KeySetStore& key_sets);

// The memory of a request's results.
struct ScoreMemory {
  Buffer result, indices, log_sum_exp;

  // RESOURCE_EXHAUSTED: there is none.
  static absl::StatusOr<ScoreMemory> Allocate(const DecodedScore& decoded);
  AttentionResults Results();
};

void EncodeScoreResponse(const DecodedScore& decoded, const ScoreMemory& memory,
                         const JobReceipt& receipt, const std::string& kernel,
                         v1::ScoreResponse& response);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_CODEC_H_
