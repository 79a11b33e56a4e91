#ifndef QKSERVE_SERVER_RPC_GRPC_STATUS_H_
#define QKSERVE_SERVER_RPC_GRPC_STATUS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace qkserve {

// Text that goes to a client: valid UTF-8, cut between characters (and then with "..." at its end)
// where gRPC's percent-encoding makes it longer than kClientTextBytesMax. A message of a status is
// metadata, of which clients take 8 KiB unless told otherwise, or lose the call.
inline constexpr size_t kClientTextBytesMax = 4096;
std::string ClientText(absl::string_view text);

// The codes of Abseil and gRPC are the same numbers. The message is a ClientText.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The same, to finish a call of `context` with. If the status says when a retry may help
// (RetryAfterOf), the trailing metadata grpc-retry-pushback-ms say so: gRPC's clients with a retry
// policy wait that long.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_GRPC_STATUS_H_
