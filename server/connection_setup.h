#ifndef QKSERVE_SERVER_CONNECTION_SETUP_H_
#define QKSERVE_SERVER_CONNECTION_SETUP_H_

#include <functional>
#include <memory>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/lifecycle/acceptor.h"
#include "server/options.h"

namespace qkserve {

// These functions set how gRPC's connections are made, and what the connections may do (decision
// 19).

// Sets limits of connections: age, handshake, calls, pings, metadata.
void SetConnectionLimits(const ServerOptions& options, grpc::ServerBuilder& builder);

// Takes ownership of a connected socket. Called only between the start of the gRPC server and its
// Shutdown.
using ConnectionTaker = std::function<void(int socket)>;

// Lets the server that `builder` makes take connections that an Acceptor has accepted, with
// `credentials`. Farewells::OfProcess watches each socket that is taken.
ConnectionTaker AddConnectionTaker(std::shared_ptr<grpc::ServerCredentials> credentials,
                                   grpc::ServerBuilder& builder);

// Returns the options of an Acceptor that gives its connections to `take`. Logs a line if the limit
// of open files allows fewer connections than connections_max.
Acceptor::Options AcceptorOptions(const ServerOptions& options, ConnectionTaker take);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_CONNECTION_SETUP_H_
