#ifndef QKSERVE_SERVER_RPC_INFLATE_H_
#define QKSERVE_SERVER_RPC_INFLATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/byte_budget.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/limits.h"

namespace qkserve {

// Unpacks compressed messages. gRPC's own code for that has no limit: 1 MB of gzip may become 1 GB.

// The limits of what a compressed message may become.
struct InflateLimits {
  // The most bytes. The default is for services whose messages are names and numbers.
  int64_t bytes_max = 64 * kKiB;

  // Is charged before memory is taken. Null: nothing is charged.
  ByteBudget* budget = nullptr;

  // Charges even beyond the budget's limit, for messages of a call that must not fail for it.
  bool charges_anyway = false;
};

// If the message is compressed with gzip or deflate, replaces it by what it was before. Adds the
// charges for its memory, which the caller keeps as long as `message`.
//
// RESOURCE_EXHAUSTED: a limit. UNIMPLEMENTED: the bytes are not of their format. After an error the
// message is empty.
absl::Status InflateIfCompressed(const InflateLimits& limits, grpc::ByteBuffer* message,
                                 std::vector<ByteBudget::Charge>* charges);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_INFLATE_H_
