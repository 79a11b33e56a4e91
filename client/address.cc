#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/host_port.h"
#include "base/invalid_argument.h"
#include "qkserve/channel.h"

namespace qkserve {
namespace {

constexpr int kDefaultPort = 50051;

// Schemes of gRPC's resolvers. A target with one of these schemes is not checked here, but by gRPC.
constexpr absl::string_view kSchemes[] = {"ipv4",  "ipv6", "unix",      "unix-abstract",
                                          "vsock", "xds",  "google-c2p"};

bool IsHostByte(char c) {
  return absl::ascii_isgraph(static_cast<unsigned char>(c)) && !absl::StrContains("/?#@", c);
}

// Returns the length of "dns:", "dns:///" or "dns://SERVER/" at the beginning of the address, or 0.
size_t DnsPrefixLength(absl::string_view address) {
  constexpr absl::string_view kDns = "dns:";
  if (!absl::StartsWith(address, kDns)) return 0;
  if (!absl::StartsWith(address, "dns://")) return kDns.size();
  const size_t slash = address.find('/', kDns.size() + 2);
  return slash == absl::string_view::npos ? address.size() : slash + 1;
}

}  // namespace

absl::StatusOr<std::string> ServerTarget(const std::string& address) {
  const absl::string_view view = address;
  const size_t colon = std::min(view.find(':'), view.size());
  const absl::string_view scheme = view.substr(0, colon);
  if (colon < view.size() &&
      std::find(std::begin(kSchemes), std::end(kSchemes), scheme) != std::end(kSchemes)) {
    return address;
  }
  const size_t prefix = DnsPrefixLength(view);
  const absl::string_view rest = view.substr(prefix);
  if (absl::StrContains(rest, "://")) {
    return InvalidArgument("got '", address, "'; leave out '", scheme,
                           "://': an address is HOST:PORT, and TLS is an option of its own (tls)");
  }
  const std::optional<HostPort> parsed = ReadHostPort(rest, kDefaultPort);
  if (!parsed.has_value() || parsed->port == 0 ||
      !std::all_of(parsed->host.begin(), parsed->host.end(), IsHostByte)) {
    return InvalidArgument("got '", address, "', expected HOST or HOST:PORT with a port from 1 to ",
                           kPortMax,
                           " and an IPv6 address in brackets, or another gRPC target such as "
                           "dns:///HOST:PORT or unix:PATH");
  }
  const bool is_ipv6 = absl::StrContains(parsed->host, ':');
  return absl::StrCat(view.substr(0, prefix), is_ipv6 ? "[" : "", parsed->host, is_ipv6 ? "]" : "",
                      ":", parsed->port);
}

}  // namespace qkserve
