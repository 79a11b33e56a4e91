#ifndef QKSERVE_CHANNEL_H_
#define QKSERVE_CHANNEL_H_

#include <qkserve/client.h>
#include <qkserve/metadata.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

// Functions for programs that call the generated stubs themselves, for example asynchronously.
// Connections and calls are like those of Client.

namespace qkserve {

// Returns the gRPC target of an address in the form of ClientOptions::address. For example,
// "127.0.0.1" becomes "127.0.0.1:50051". INVALID_ARGUMENT: the address is malformed. The message
// says what was given and what was expected.
absl::StatusOr<std::string> ServerTarget(const std::string& address);

// Makes options.channels channels. Each channel has its own connection, which its first call makes.
// Errors are those of Client::Create.
absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options);

// Sets the deadline of a call that is about to begin. If `key_set` is not empty, also sets the
// metadata "qkserve-key-set", for proxies that route by it.
void PrepareCall(grpc::ClientContext& context, absl::Duration timeout,
                 const std::string& key_set = "");

// Adds metadata to a call that is about to begin. INVALID_ARGUMENT: a name or value is not allowed
// (see Metadata). The message says which. Nothing is added in this case.
absl::Status AddMetadata(grpc::ClientContext& context, const Metadata& metadata);

}  // namespace qkserve

#endif  // QKSERVE_CHANNEL_H_
