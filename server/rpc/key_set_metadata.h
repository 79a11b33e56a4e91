#ifndef QKSERVE_SERVER_RPC_KEY_SET_METADATA_H_
#define QKSERVE_SERVER_RPC_KEY_SET_METADATA_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"

namespace qkserve {

// A proxy routes by the metadata "qkserve-key-set", which cannot see the message: where it is given
// it must be `name`. INVALID_ARGUMENT says what it was.
absl::Status CheckKeySetMetadata(const grpc::ServerContextBase& context, absl::string_view name);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_KEY_SET_METADATA_H_
