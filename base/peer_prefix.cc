#include "base/peer_prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Returns the text of an address. `address` is an in_addr or an in6_addr.
std::string Text(int family, const void* address) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family, address, text, sizeof(text)) != nullptr ? text : "";
}

}  // namespace

std::string PeerPrefix(absl::string_view host) {
  in6_addr address = {};
  if (inet_pton(AF_INET6, std::string(host.substr(0, host.find('%'))).c_str(), &address) != 1) {
    return std::string(host);
  }
  constexpr size_t kMappedAt = 12;  // the IPv4 address is in the last 4 of the 16 bytes
  if (IN6_IS_ADDR_V4MAPPED(&address)) return Text(AF_INET, &address.s6_addr[kMappedAt]);
  if (IN6_IS_ADDR_LOOPBACK(&address)) return Text(AF_INET6, &address);
  constexpr size_t kPrefixBytes = 64 / 8;
  std::fill(std::begin(address.s6_addr) + kPrefixBytes, std::end(address.s6_addr), 0);
  return absl::StrCat(Text(AF_INET6, &address), "/64");
}

}  // namespace qkserve
