#include "server/lifecycle/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// The end of the system's message about an address on which another process listens.
constexpr char kInUse[] = "Address already in use";
constexpr char kIsInUse[] = " is in use by another process";

// IPv4 and IPv6 addresses have their port in the same place.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

int PortOf(const SocketAddress& address) {
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

void SetPort(SocketAddress& address, int port) {
  reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(static_cast<uint16_t>(port));
}

bool IsIpv6(const SocketAddress& address) { return address.storage.ss_family == AF_INET6; }

SocketAddress Ipv6(const in6_addr& host, int port) {
  SocketAddress address = {.size = sizeof(sockaddr_in6)};
  address.storage.ss_family = AF_INET6;
  reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_addr = host;
  SetPort(address, port);
  return address;
}

SocketAddress AnyIpv4(int port) {
  SocketAddress address = {.size = sizeof(sockaddr_in)};  // the host is all zero
  address.storage.ss_family = AF_INET;
  SetPort(address, port);
  return address;
}

// Makes room for a socket at a path. Removes a socket on which no server listens.
absl::Status ClearPath(const std::string& path, const SocketAddress& address) {
  // The socket does not block, because a stopped server with a full queue would keep a caller
  // waiting. EAGAIN means a full queue, which shows that a server listens.
  const FileDescriptor caller(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(caller.get(), address.get(), address.size) == 0 || errno == EAGAIN) {
    return absl::UnavailableError(kInUse);
  }
  // ENOENT: no socket is there. ECONNREFUSED: no server listens. After other errors a server may
  // listen.
  if (errno != ENOENT && errno != ECONNREFUSED) {
    return absl::UnavailableError(std::strerror(errno));
  }
  struct stat there = {};
  if (lstat(path.c_str(), &there) != 0) return absl::OkStatus();
  if (!S_ISSOCK(there.st_mode)) {
    return absl::UnavailableError("a file that is no socket is there");
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

// True if the machine has an IPv6 address. A kernel may support IPv6 without an address. gRPC makes
// the same check.
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
  return IsSame(address, AnyIpv4(port)) || IsSame(address, Ipv6(in6addr_any, port));
}

bool IsLoopback(const SocketAddress& address) {
  constexpr uint8_t kLoopbackNet = 127;
  if (!IsIpv6(address)) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    return ntohl(ipv4.sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  const in6_addr& ipv6 = reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ipv6) ||
         (IN6_IS_ADDR_V4MAPPED(&ipv6) && ipv6.s6_addr[12] == kLoopbackNet);
}

absl::Status ErrnoStatus(const SocketAddress& address) {
  const int error = errno;  // Text may change it
  return absl::UnavailableError(absl::StrCat(address.Text(), ": ", std::strerror(error)));
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(const AddressFlag& flag, const std::string& address) {
  const std::optional<HostPort> parsed = ReadHostPort(address);
  if (!parsed.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag.name, ": got '", address, "', expected HOST:PORT with a port from 0 to ",
                     kPortMax, " and an IPv6 address in brackets, or ", flag.others));
  }
  if (parsed->host == "*") {
    return absl::InvalidArgumentError(absl::StrCat(
        flag.name, ": got '", address,
        "'; all addresses of this machine are 0.0.0.0:", parsed->port, " or [::]:", parsed->port));
  }
  return *parsed;
}

std::string WithPort(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

std::string SocketAddress::Text() const {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(get(), size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  return IsIpv6(*this) ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

std::string SocketAddress::Host() const {
  char host[NI_MAXHOST];
  if (storage.ss_family != AF_INET && !IsIpv6(*this)) return "";
  if (getnameinfo(get(), size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) != 0) return "";
  return host;
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
    // A hosts file may name an address twice.
    const auto is_same = [&](const SocketAddress& other) { return IsSame(address, other); };
    if (std::none_of(addresses.begin(), addresses.end(), is_same)) addresses.push_back(address);
  }
  if (std::any_of(addresses.begin(), addresses.end(),
                  [&](const SocketAddress& address) { return IsWildcard(address, to.port); })) {
    addresses = {HasIpv6() ? Ipv6(in6addr_any, to.port) : AnyIpv4(to.port)};
  } else if (!std::all_of(addresses.begin(), addresses.end(), IsIpv6) && !HasIpv6()) {
    std::erase_if(addresses, IsIpv6);
  }
  return addresses;
}

absl::Status CheckIsLoopback(const AddressFlag& flag, const std::string& address) {
  ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(flag, address));
  const absl::StatusOr<std::vector<SocketAddress>> addresses = ResolveHost(to);
  return addresses.ok() ? CheckAreLoopback(flag, address, *addresses) : absl::OkStatus();
}

absl::Status CheckAreLoopback(const AddressFlag& flag, const std::string& address,
                              const std::vector<SocketAddress>& resolved) {
  if (std::all_of(resolved.begin(), resolved.end(), IsLoopback)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag.name, ": other machines may reach ", address,
                   ", and nothing is encrypted; give --tls_cert_file and --tls_key_file, or "
                   "--allow_plaintext if the network is trusted"));
}

absl::StatusOr<BoundSockets> BoundSockets::Bind(const AddressFlag& flag,
                                                const std::string& address) {
  ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(flag, address));
  absl::StatusOr<std::vector<SocketAddress>> addresses = ResolveHost(to);
  if (!addresses.ok()) return CannotListen(flag, address, addresses.status());
  absl::StatusOr<BoundSockets> sockets = Bind(*std::move(addresses));
  if (!sockets.ok()) return CannotListen(flag, address, sockets.status());
  return sockets;
}

absl::StatusOr<BoundSockets> BoundSockets::Bind(std::vector<SocketAddress> addresses) {
  BoundSockets bound(std::move(addresses));
  const bool takes_any_port = bound.port() == 0;
  // The kernel gives a port that is free on the first address. The port is seldom in use on another
  // address. If it is, another port is tried.
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

absl::StatusOr<BoundSockets> BoundSockets::BindPath(const std::string& path) {
  SocketAddress address = {.size = sizeof(sockaddr_un)};
  auto& to = reinterpret_cast<sockaddr_un&>(address.storage);
  to.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(to.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("listen_address: got a path of ", path.size(),
                                                   " bytes, expected 1 to ",
                                                   sizeof(to.sun_path) - 1));
  }
  std::memcpy(to.sun_path, path.data(), path.size());
  RETURN_IF_ERROR(ClearPath(path, address));
  FileDescriptor bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (bind(bound.get(), address.get(), address.size) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  BoundSockets sockets(std::vector<SocketAddress>{address});
  sockets.sockets_.push_back(std::move(bound));
  sockets.path_ = path;
  return sockets;
}

void BoundSockets::RemovePath() {
  if (!sockets_.empty() && !path_.empty()) unlink(path_.c_str());
  path_.clear();
}

absl::Status BoundSockets::BindEach() {
  for (SocketAddress& address : addresses_) {
    SetPort(address, port());
    const int socket =
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) return ErrnoStatus(address);
    sockets_.emplace_back(socket);
    // With this option, the next server can use the port although connections of a killed server
    // remain.
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

int BoundSockets::port() const {
  const SocketAddress& first = addresses_.front();
  return first.storage.ss_family == AF_UNIX ? 0 : PortOf(first);
}

absl::Status CannotListen(const AddressFlag& flag, const std::string& address,
                          const absl::Status& why) {
  absl::string_view reason = why.message();
  absl::ConsumePrefix(&reason, absl::StrCat(address, ": "));
  std::string what = absl::StrCat("cannot listen on ", address, ": ", reason);
  if (absl::ConsumeSuffix(&reason, kInUse)) {
    // The address in use may be one of several addresses of a name, or [::] for 0.0.0.0.
    const bool is_another = absl::ConsumeSuffix(&reason, ": ") && !reason.empty();
    what = is_another ? absl::StrCat("cannot listen on ", address, ": ", reason, kIsInUse)
                      : absl::StrCat(address, kIsInUse);
  }
  return absl::UnavailableError(
      absl::StrCat(flag.name, ": ", what, "; give another one, or ", flag.others));
}

}  // namespace qkserve
