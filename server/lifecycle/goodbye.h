#ifndef QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_
#define QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_

#include "grpcpp/server.h"

namespace qkserve {

// These functions end a gRPC server in steps. grpc::Server::Shutdown alone would drop every call
// that arrives before its client has read the GOAWAY, and the caller would see CANCELLED.

// Closes the listening sockets and sends GOAWAY on every connection. Clients then begin no new
// calls on these connections, and connect elsewhere. Calls that are under way, or that still
// arrive, are served as before. A connection closes after its last call.
//
// May be called again, for connections that were still being made at the first call. Returns false
// and does nothing if this build of gRPC lacks the functions for this.
bool SendClientsAway(grpc::Server& server);

// Closes all connections. Callers of unfinished calls see UNAVAILABLE. Called before
// grpc::Server::Shutdown.
void CloseConnections(grpc::Server& server);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_
