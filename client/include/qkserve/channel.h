#ifndef QKSERVE_CHANNEL_H_
#define QKSERVE_CHANNEL_H_

#include <qkserve/client.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

// For programs that call the generated stubs themselves, for example asynchronously. Connections
// and calls are like those of Client.

namespace qkserve {

// Makes options.channels channels. Each has a connection of its own, which its first call makes.
// Errors are those of Client::Create.
absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options);

// Sets the deadline of a call that is about to begin. Also sets the metadata "qkserve-key-set", for
// proxies that route by it. `key_set` is empty for a call that names none.
void PrepareCall(grpc::ClientContext& context, absl::Duration timeout,
                 const std::string& key_set = "");

}  // namespace qkserve

#endif  // QKSERVE_CHANNEL_H_
