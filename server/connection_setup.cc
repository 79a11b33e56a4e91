#include "server/connection_setup.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/host.h"
#include "grpc/grpc.h"
#include "server/lifecycle/connection_table.h"
#include "server/lifecycle/farewells.h"
#include "server/limits.h"

namespace qkserve {
namespace {

// Returns a duration as gRPC takes it: milliseconds in an int. INT_MAX means never.
int MillisecondsArgument(absl::Duration duration) {
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), std::numeric_limits<int>::max()));
}

}  // namespace

void SetConnectionLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  if (options.connection_age > absl::ZeroDuration()) {
    // gRPC closes a connection at 0.9 to 1.1 times this value. That is 1 to 1.22 times the flag.
    // The value is never 0, because gRPC would close connections at once.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               std::max(1, MillisecondsArgument(options.connection_age / 9 * 10)));
  }
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             MillisecondsArgument(options.connection_grace > absl::ZeroDuration()
                                                      ? options.connection_grace
                                                      : absl::InfiniteDuration()));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             MillisecondsArgument(options.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConnectionCallsMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, MillisecondsArgument(options.ping_after));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             MillisecondsArgument(options.ping_timeout));
  // 0: no limit. By default, gRPC stops after two pings in a row without data between them.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // gRPC's defaults for this interval are 5 minutes, and 2 hours for a connection without calls.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             MillisecondsArgument(options.keepalive_interval_min));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
}

ConnectionTaker AddConnectionTaker(std::shared_ptr<grpc::ServerCredentials> credentials,
                                   grpc::ServerBuilder& builder) {
  using Builder = grpc::ServerBuilder::experimental_type;
  const std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> taker =
      builder.experimental().AddExternalConnectionAcceptor(Builder::ExternalConnectionType::FROM_FD,
                                                           std::move(credentials));
  Farewells& farewells = Farewells::OfProcess();
  return [taker, &farewells](int socket) {
    farewells.Watch(socket);
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = socket;
    taker->HandleNewConnection(&connection);
  };
}

Acceptor::Options AcceptorOptions(const ServerOptions& options, ConnectionTaker take) {
  const int64_t allowed =
      ConnectionsAllowed(options.connections_max, OpenFilesMax(), kReservedFiles);
  if (allowed < options.connections_max) {
    options.log(
        {LogLevel::kInfo,
         absl::StrCat("connections_max = ", options.connections_max,
                      " is lowered, because the process may open only ", OpenFilesMax(), " files"),
         {{"connections", allowed}}});
  }
  const int64_t per_peer = options.connections_per_peer_max;
  return {.connections_max = allowed,
          .per_peer_max = per_peer > 0 ? per_peer : std::max<int64_t>(1, allowed / 2),
          .unsent_timeout = options.unsent_timeout,
          .take = std::move(take),
          .log = options.log};
}

}  // namespace qkserve
