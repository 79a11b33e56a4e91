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

// For programs that call the generated stubs themselves, for example asynchronously. Connections
// and calls are like those of Client.

namespace qkserve {

// The gRPC target of an address as ClientOptions::address has it: "127.0.0.1" becomes
// "127.0.0.1:50051". INVALID_ARGUMENT says what the address was and what is possible.
absl::StatusOr<std::string> ServerTarget(const std::string& address);

// Makes options.channels channels. Each has a connection of its own, which its first call makes.
// Errors are those of Client::Create.
absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options);

// Sets the deadline of a call that is about to begin. Also sets the metadata "qkserve-key-set", for
// proxies that route by it. `key_set` is empty for a call that names none.
void PrepareCall(grpc::ClientContext& context, absl::Duration timeout,
                 const std::string& key_set = "");

// Adds metadata to a call that is about to begin. INVALID_ARGUMENT names what Metadata does not
// allow; then nothing is added.
absl::Status AddMetadata(grpc::ClientContext& context, const Metadata& metadata);

}  // namespace qkserve

#endif  // QKSERVE_CHANNEL_H_
