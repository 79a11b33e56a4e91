#ifndef QKSERVE_CLIENT_CALL_H_
#define QKSERVE_CLIENT_CALL_H_

#include <string>

#include "absl/time/time.h"
#include "grpcpp/client_context.h"

// What all calls of the client do before they begin. Not for users of the library.

namespace qkserve {

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

// Metadata "qkserve-key-set", for proxies that route by it.
void AddKeySetMetadata(grpc::ClientContext& context, const std::string& name);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_CALL_H_
