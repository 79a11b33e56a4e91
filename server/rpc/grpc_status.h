#ifndef QKSERVE_SERVER_RPC_GRPC_STATUS_H_
#define QKSERVE_SERVER_RPC_GRPC_STATUS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace qkserve {

// Text for a client, in valid UTF-8. gRPC percent-encodes it. If it is then longer than
// kClientTextBytesMax, it is cut between characters and ends with "...". The reason: a status's
// message is metadata. Clients take 8 KiB of metadata unless told otherwise; with more they lose
// the call.
inline constexpr size_t kClientTextBytesMax = 4096;
std::string ClientText(absl::string_view text);

// The status with the same code, which has the same number in gRPC. The message is a ClientText.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The status to finish a call of `context` with. For RESOURCE_EXHAUSTED it adds the trailing
// metadata grpc-retry-pushback-ms, which gRPC's clients with a retry policy obey: the time after
// which a retry may help (RetryAfterOf), or -1, which forbids retries.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_GRPC_STATUS_H_
