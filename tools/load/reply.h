#ifndef QKSERVE_TOOLS_LOAD_REPLY_H_
#define QKSERVE_TOOLS_LOAD_REPLY_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve {

// Reads the receipt of a serialised ScoreResponse. Tensors are skipped, not copied. `reply` keeps
// its bytes. INTERNAL: the bytes are no ScoreResponse.
absl::Status ReadReceipt(grpc::ByteBuffer& reply, v1::Receipt* receipt);

// Parse a whole message. INTERNAL: the bytes are no such message.
absl::StatusOr<v1::ScoreResponse> ParseReply(const grpc::ByteBuffer& reply);
absl::StatusOr<v1::ScoreRequest> ParseRequest(const grpc::ByteBuffer& request);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_REPLY_H_
