#include "server/lifecycle/bound_sockets.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// IPv4 and IPv6 addresses have their port in the same place.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

int PortOf(const SocketAddress& address) {
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

void SetPort(SocketAddress& address, int port) {
  reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(static_cast<uint16_t>(port));
}

bool IsIpv6(const SocketAddress& address) { return address.storage.ss_family == AF_INET6; }

template <typename Address>
SocketAddress Pack(const Address& address) {
  SocketAddress packed;
  std::memcpy(&packed.storage, &address, sizeof(address));
  packed.size = sizeof(address);
  return packed;
}

SocketAddress Ipv6(const in6_addr& host, int port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(port));
  address.sin6_addr = host;
  return Pack(address);
}

SocketAddress Ipv4(in_addr_t host, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(host);
  return Pack(address);
}

// gRPC's question: a kernel may know IPv6 and have no address of it.
bool HasIpv6() {
  const FileDescriptor probe(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return false;
  const SocketAddress loopback = Ipv6(in6addr_loopback, 0);
  return bind(probe.get(), loopback.get(), loopback.size) == 0;
}

bool IsSame(const SocketAddress& a, const SocketAddress& b) {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

bool IsWildcard(const SocketAddress& address, int port) {
  return IsSame(address, Ipv4(INADDR_ANY, port)) || IsSame(address, Ipv6(in6addr_any, port));
}

absl::Status ErrnoStatus(const SocketAddress& address) {
  const int error = errno;  // Text may change it
  return absl::UnavailableError(absl::StrCat(address.Text(), ": ", std::strerror(error)));
}

}  // namespace

std::string SocketAddress::Text() const {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(get(), size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  return IsIpv6(*this) ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const HostPort& to) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    // A file of hosts may name an address twice.
    const auto is_same = [&](const SocketAddress& other) { return IsSame(address, other); };
    if (std::none_of(addresses.begin(), addresses.end(), is_same)) addresses.push_back(address);
  }
  if (std::any_of(addresses.begin(), addresses.end(),
                  [&](const SocketAddress& address) { return IsWildcard(address, to.port); })) {
    addresses = {HasIpv6() ? Ipv6(in6addr_any, to.port) : Ipv4(INADDR_ANY, to.port)};
  } else if (!std::all_of(addresses.begin(), addresses.end(), IsIpv6) && !HasIpv6()) {
    std::erase_if(addresses, IsIpv6);
  }
  return addresses;
}

absl::StatusOr<BoundSockets> BoundSockets::Bind(const char* flag, const std::string& address,
                                                const char* others) {
  const absl::StatusOr<HostPort> to = ParseHostPort(flag, address, others);
  if (!to.ok()) return to.status();
  absl::StatusOr<std::vector<SocketAddress>> addresses = ResolveHost(*to);
  if (!addresses.ok()) return CannotListen(flag, address, others, addresses.status());
  absl::StatusOr<BoundSockets> sockets = Bind(*std::move(addresses));
  if (!sockets.ok()) return CannotListen(flag, address, others, sockets.status());
  return sockets;
}

absl::StatusOr<BoundSockets> BoundSockets::Bind(std::vector<SocketAddress> addresses) {
  BoundSockets bound(std::move(addresses));
  const bool takes_any_port = bound.port() == 0;
  // A port that the kernel gives for the first address may be in use on another one. Few are.
  constexpr int kAttempts = 20;
  absl::Status status;
  for (int i = 0; i < (takes_any_port ? kAttempts : 1); ++i) {
    status = bound.BindEach();
    if (status.ok()) return bound;
    bound.sockets_.clear();
    if (takes_any_port) {
      for (SocketAddress& bound_address : bound.addresses_) SetPort(bound_address, 0);
    }
  }
  return status;
}

absl::Status BoundSockets::BindEach() {
  for (SocketAddress& address : addresses_) {
    SetPort(address, port());
    const int socket =
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) return ErrnoStatus(address);
    sockets_.emplace_back(socket);
    // Connections of a server that was killed do not keep the next one from the port.
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (IsIpv6(address)) {
      const int is_ipv6_only = 0;
      setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only, sizeof(is_ipv6_only));
    }
    if (bind(socket, address.get(), address.size) != 0) return ErrnoStatus(address);
    socklen_t size = sizeof(address.storage);
    if (getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &size) != 0) {
      return ErrnoStatus(address);
    }
  }
  return absl::OkStatus();
}

absl::Status BoundSockets::Listen() const {
  for (size_t i = 0; i < sockets_.size(); ++i) {
    if (listen(sockets_[i].get(), SOMAXCONN) != 0) return ErrnoStatus(addresses_[i]);
  }
  return absl::OkStatus();
}

int BoundSockets::port() const { return PortOf(addresses_.front()); }

absl::Status CannotListen(const char* flag, const std::string& address, const char* others,
                          const absl::Status& why) {
  absl::string_view reason = why.message();
  absl::ConsumePrefix(&reason, absl::StrCat(address, ": "));
  return absl::UnavailableError(absl::StrCat(flag, ": cannot listen on ", address, ": ", reason,
                                             "; give another one, or ", others));
}

}  // namespace qkserve
