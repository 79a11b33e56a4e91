#ifndef QKSERVE_CLIENT_CHANNEL_H_
#define QKSERVE_CLIENT_CHANNEL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "qkserve/client.h"

// The connections of a client, for those of ours that speak gRPC themselves. Not for users of the
// library.

namespace qkserve {

// Each a connection of its own, made when the first call needs it. Errors are those of
// Client::Create.
absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_CHANNEL_H_
