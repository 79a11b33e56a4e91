#ifndef QKSERVE_SERVER_RPC_CALLER_METADATA_H_
#define QKSERVE_SERVER_RPC_CALLER_METADATA_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"
#include "server/admission/caller.h"

namespace qkserve {

// Finds out who makes a call. The tenant is the first of these that the call has:
//
//   1. `identity`, the authenticated name; empty if the caller has none.
//   2. The metadata qkserve-tenant, unless `has_identities`. A server that knows identities ignores
//      a name that anybody may claim.
//   3. The address of the peer without its port, or the /64 prefix of an IPv6 address; "unix" for a
//      unix socket.
//
// The metadata qkserve-priority gives the priority, normal or low. Without it, the priority is
// normal.
//
// INVALID_ARGUMENT names the metadata. Thread-safe.
absl::StatusOr<Caller> ReadCaller(const grpc::ServerContextBase& context, std::string identity,
                                  bool has_identities, Tenants& tenants, absl::Time now);

// Returns the name of a peer's tenant. `peer` is gRPC's name of the peer: ipv4:HOST:PORT,
// ipv6:[HOST]:PORT or unix:PATH. The brackets may be percent-encoded.
std::string PeerTenant(absl::string_view peer);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_CALLER_METADATA_H_
