#include "server/lifecycle/address.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

constexpr int kPortMax = 65535;

// Digits alone: SimpleAtoi takes a sign and spaces as well.
bool ParsePort(absl::string_view text, int& port) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, &port) && port <= kPortMax;
}

// Takes the brackets away. An address of IPv6 without them could end anywhere.
bool ParseHost(absl::string_view& host) {
  if (absl::ConsumePrefix(&host, "[")) return absl::ConsumeSuffix(&host, "]") && !host.empty();
  return !host.empty() && !absl::StrContains(host, ':');
}

}  // namespace

// gRPC takes a missing port for 443 and any number modulo 65536.
absl::StatusOr<HostPort> ParseHostPort(const char* flag, const std::string& address,
                                       const char* others) {
  const size_t colon = std::min(address.rfind(':'), address.size());
  absl::string_view host = absl::string_view(address).substr(0, colon);
  int port = 0;
  if (colon == address.size() || !ParsePort(address.substr(colon + 1), port) || !ParseHost(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": got '", address, "', expected HOST:PORT with a port from 0 to ",
                     kPortMax, " and an IPv6 address in brackets, or ", others));
  }
  if (host == "*") {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": got '", address,
                     "'; all addresses of this machine are 0.0.0.0:", port, " or [::]:", port));
  }
  return HostPort{std::string(host), port};
}

std::string WithPort(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

}  // namespace qkserve
