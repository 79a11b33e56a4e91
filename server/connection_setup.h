#ifndef QKSERVE_SERVER_CONNECTION_SETUP_H_
#define QKSERVE_SERVER_CONNECTION_SETUP_H_

#include <functional>
#include <memory>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/lifecycle/acceptor.h"
#include "server/options.h"

namespace qkserve {

// How gRPC's connections are made, and what they may do (decision 19).

// Sets limits of connections: age, handshake, calls, pings, metadata.
void SetConnectionLimits(const ServerOptions& options, grpc::ServerBuilder& builder);

// Takes over a connected socket. Called between the start of its server and Shutdown.
using ConnectionTaker = std::function<void(int socket)>;

// Lets the server that is built take connections that an Acceptor has accepted, with these
// credentials. Their ends are watched by Farewells::OfProcess.
ConnectionTaker AddConnectionTaker(std::shared_ptr<grpc::ServerCredentials> credentials,
                                   grpc::ServerBuilder& builder);

// The options of an Acceptor that gives its connections to `take`. Logs if the limit of open files
// allows fewer than the options.
Acceptor::Options AcceptorOptions(const ServerOptions& options, ConnectionTaker take);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_CONNECTION_SETUP_H_
