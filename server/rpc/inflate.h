#ifndef QKSERVE_SERVER_RPC_INFLATE_H_
#define QKSERVE_SERVER_RPC_INFLATE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/byte_budget.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/limits.h"

namespace qkserve {

// These functions decompress messages within limits. gRPC's own code has no limit, and 1 MB of gzip
// may become 1 GB.

// The most bytes that a compressed message may become. Decompressing 64 MiB takes about 0.3 s on a
// thread of gRPC, and gRPC may have only two threads.
inline constexpr int64_t kInflatedBytesMax = 64 * kMiB;
static_assert(kInflatedBytesMax <= kMessageBytesMax);

// Returns the limit of a server whose messages have at most `message_bytes_max` bytes.
inline int64_t InflatedBytesMax(int64_t message_bytes_max) {
  return std::min(kInflatedBytesMax, message_bytes_max);
}

// The limits of what a compressed message may become.
struct InflateLimits {
  // The most bytes after decompression. The default is for services whose messages are names and
  // numbers.
  int64_t bytes_max = 64 * kKiB;

  // The budget that is charged before memory is taken. Null: nothing is charged.
  ByteBudget* budget = nullptr;

  // True if the charge may exceed the budget's limit. Some calls must not fail because of this
  // limit.
  bool charges_anyway = false;
};

// Decompresses `message` in place if it is compressed with gzip or deflate. Adds the charges for
// its memory to `charges`. The caller must keep the charges as long as `message`.
//
// RESOURCE_EXHAUSTED: a limit is reached. UNIMPLEMENTED: the bytes are not in the format. After an
// error the message is empty. Throws std::bad_alloc if there is no memory.
absl::Status InflateIfCompressed(const InflateLimits& limits, grpc::ByteBuffer* message,
                                 std::vector<ByteBudget::Charge>* charges);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_INFLATE_H_
