#include "client/channel.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/tls.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace qkserve {

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options) {
  if (options.channels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("channels must be at least 1; was ", options.channels));
  }
  if (options.message_bytes_max < 1 || options.message_bytes_max > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("message_bytes_max must be from 1 to ",
                                                   INT32_MAX, "; was ", options.message_bytes_max));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.message_bytes_max));
  // Channels with equal arguments would otherwise share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A server that is back is found soon; gRPC would wait up to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A name with several addresses is several servers.
  arguments.SetLoadBalancingPolicyName("round_robin");
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options.tls.has_value()) {
    absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> made =
        MakeTlsCredentials(*options.tls);
    if (!made.ok()) return made.status();
    credentials = *std::move(made);
    if (!options.tls->server_name.empty()) {
      arguments.SetSslTargetNameOverride(options.tls->server_name);
    }
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  channels.reserve(static_cast<size_t>(options.channels));
  for (int i = 0; i < options.channels; ++i) {
    channels.push_back(grpc::CreateCustomChannel(options.address, credentials, arguments));
  }
  return channels;
}

}  // namespace qkserve
