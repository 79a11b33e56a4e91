#ifndef QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_
#define QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_

#include "grpcpp/server.h"

namespace qkserve {

// The end of a gRPC server in steps. grpc::Server::Shutdown alone would drop every call that
// arrives before its caller has read the GOAWAY; the caller would see CANCELLED.

// Closes the listening sockets and sends GOAWAY on every connection. Clients then begin no new call
// on it, and connect elsewhere. Calls that are under way, or that still arrive, are served as
// before. A connection closes after its last call.
//
// May be called again, for connections that were being made. Returns false and does nothing if this
// build of gRPC lacks the functions.
bool SendClientsAway(grpc::Server& server);

// Closes all connections. Callers whose calls are cut see UNAVAILABLE. Shutdown follows.
void CloseConnections(grpc::Server& server);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_GOODBYE_H_
