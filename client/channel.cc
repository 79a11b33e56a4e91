#include "qkserve/channel.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/host_port.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "base/visible_ascii.h"
#include "client/retry_policy.h"
#include "client/tls.h"
#include "client/token.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace qkserve {
namespace {

// Returns the proxy's address in the form that gRPC wants. The address is checked here, because
// gRPC ignores an address that it cannot read and then connects without the proxy.
absl::StatusOr<std::string> ProxyUri(absl::string_view http_proxy) {
  absl::string_view rest = http_proxy;
  absl::ConsumePrefix(&rest, "http://");
  const bool is_plain = std::all_of(rest.begin(), rest.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '/' && c != '?' && c != '#';
  });
  // User and password may stand before the host. If there is no '@', npos + 1 is 0.
  const absl::string_view host = rest.substr(rest.rfind('@') + 1);
  const std::optional<HostPort> host_port = ReadHostPort(host);
  if (!is_plain || !host_port.has_value() || host_port->port == 0) {
    // User and password are left out, because errors are printed.
    return InvalidArgument(
        "http_proxy must be HOST:PORT, with http:// before it or not; was '",
        host.size() < rest.size() ? absl::StrCat("...@", host) : std::string(http_proxy), "'");
  }
  return absl::StrCat("http://", rest);
}

// Returns the duration in milliseconds. `name` is the name of the option, for errors.
absl::StatusOr<int> KeepaliveMs(absl::string_view name, absl::Duration duration) {
  if (duration < absl::Milliseconds(1)) {
    return InvalidArgument(name, " must be at least 1ms; was ", absl::FormatDuration(duration));
  }
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(duration), INT32_MAX));
}

absl::Status SetKeepalive(const ClientOptions& options, grpc::ChannelArguments& arguments) {
  ASSIGN_OR_RETURN(const int interval_ms,
                   KeepaliveMs("keepalive_interval", options.keepalive_interval));
  ASSIGN_OR_RETURN(const int timeout_ms,
                   KeepaliveMs("keepalive_timeout", options.keepalive_timeout));
  if (options.keepalive_interval == absl::InfiniteDuration()) return absl::OkStatus();
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, interval_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, timeout_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, options.keepalive_without_calls);
  // Without this setting, gRPC stops pinging after two pings with no data between them.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> MakeChannels(
    const ClientOptions& options) {
  const absl::StatusOr<std::string> target = ServerTarget(options.address);
  if (!target.ok()) return InvalidArgument("address: ", target.status().message());
  if (options.channels < 1) {
    return InvalidArgument("channels must be at least 1; was ", options.channels);
  }
  if (options.message_bytes_max < 1 || options.message_bytes_max > INT32_MAX) {
    return InvalidArgument("message_bytes_max must be from 1 to ", INT32_MAX, "; was ",
                           options.message_bytes_max);
  }
  RETURN_IF_ERROR(CheckAttempts(options.attempts_max));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.message_bytes_max));
  // Each channel gets its own connection. Channels with equal arguments would otherwise share one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The first and the longest pause between attempts to connect, in ms. They are short, so that a
  // client soon finds a server that has come back. gRPC's own pauses grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A proxy from environment variables is not used, because programs in containers inherit such
  // variables, and loopback and cluster addresses must not go through the proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.http_proxy.empty() ? 0 : 1);
  if (!options.http_proxy.empty()) {
    ASSIGN_OR_RETURN(const std::string uri, ProxyUri(options.http_proxy));
    arguments.SetString(GRPC_ARG_HTTP_PROXY, uri);
  }
  RETURN_IF_ERROR(SetKeepalive(options, arguments));
  // When a connection ends, gRPC looks up the name again, because the name may have a new server.
  // By default gRPC does so at most once in 30 s. An interval of 5 s still protects the name
  // servers if many connections end together.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 5000);
  // If a name has several addresses, they are several servers, and calls use them in turn.
  arguments.SetLoadBalancingPolicyName("round_robin");
  SetRetries(options.attempts_max, arguments);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options.tls.has_value()) {
    ASSIGN_OR_RETURN(credentials, MakeTlsCredentials(*options.tls));
    if (!options.tls->server_name.empty()) {
      arguments.SetSslTargetNameOverride(options.tls->server_name);
    }
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  channels.reserve(static_cast<size_t>(options.channels));
  for (int i = 0; i < options.channels; ++i) {
    ASSIGN_OR_RETURN(InterceptorFactories interceptors, TokenInterceptors(options));
    channels.push_back(grpc::experimental::CreateCustomChannelWithInterceptors(
        *target, credentials, arguments, std::move(interceptors)));
  }
  return channels;
}

void PrepareCall(grpc::ClientContext& context, absl::Duration timeout, const std::string& key_set) {
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  }
  // The name is left out if it is not valid as metadata, because gRPC ends the process over invalid
  // metadata. No key set can have this name, and the server's error says so.
  if (IsVisibleAscii(key_set) && !key_set.empty()) context.AddMetadata("qkserve-key-set", key_set);
}

}  // namespace qkserve
