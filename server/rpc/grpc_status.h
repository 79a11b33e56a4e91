#ifndef QKSERVE_SERVER_RPC_GRPC_STATUS_H_
#define QKSERVE_SERVER_RPC_GRPC_STATUS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace qkserve {

// Returns `text` as valid UTF-8, for a client. gRPC will percent-encode it. If the encoded text
// would be longer than kClientTextBytesMax, the text is cut between characters and ends with "...".
// The limit is needed because a status's message is metadata, and by default a client that gets
// more than 8 KiB of metadata loses the call.
inline constexpr size_t kClientTextBytesMax = 4096;
std::string ClientText(absl::string_view text);

// Returns the status with the same code. Codes have the same numbers in gRPC. The message is a
// ClientText.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Returns the status that ends the call of `context`. For RESOURCE_EXHAUSTED, adds the trailing
// metadata grpc-retry-pushback-ms. Its value is the time after which a retry may help
// (RetryAfterOf), or -1, which forbids retries. gRPC's clients with a retry policy obey it.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_GRPC_STATUS_H_
