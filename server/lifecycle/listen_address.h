#ifndef QKSERVE_SERVER_LIFECYCLE_LISTEN_ADDRESS_H_
#define QKSERVE_SERVER_LIFECYCLE_LISTEN_ADDRESS_H_

#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_descriptor.h"
#include "base/host_port.h"

namespace qkserve {

// A flag that takes HOST:PORT, as errors describe it.
struct AddressFlag {
  const char* name;
  const char* others;  // what the flag takes beside HOST:PORT
};
inline constexpr AddressFlag kListenAddressFlag = {"listen_address", "unix:PATH"};
inline constexpr AddressFlag kHttpAddressFlag = {"http_address", "nothing for no HTTP"};

// Parses HOST:PORT from a flag. An IPv6 address is in brackets. INVALID_ARGUMENT names the flag,
// its value and the values that are possible.
absl::StatusOr<HostPort> ParseHostPort(const AddressFlag& flag, const std::string& address);

// Returns HOST:PORT with its port replaced by `port`.
std::string WithPort(const std::string& address, int port);

// The address of a socket.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  // Returns the address as text, for example 127.0.0.1:80 or [::1]:80.
  std::string Text() const;
  // Returns the address as text without the port, or "" if it is not an IP address.
  std::string Host() const;
};

// Returns the addresses of a host, each once. gRPC and HTTP read a host in the same way:
//
//   0.0.0.0, ::  all addresses of the machine, IPv4 and IPv6, with one socket
//   a name       all its addresses. If the machine has no IPv6, only the IPv4 addresses, unless the
//                name has IPv6 addresses only
//
// UNAVAILABLE: the name has no address. The message says why. Blocks while the name is looked up.
absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const HostPort& to);

// Checks that HOST:PORT is a loopback address, which other machines cannot reach. An address that
// cannot be resolved is OK, because nobody can listen on it. INVALID_ARGUMENT: other machines may
// reach the address. The message says how the operator can allow that, and begins with the flag's
// name.
absl::Status CheckIsLoopback(const AddressFlag& flag, const std::string& address);

// Makes the same check for the IP addresses that HOST:PORT was resolved to.
absl::Status CheckAreLoopback(const AddressFlag& flag, const std::string& address,
                              const std::vector<SocketAddress>& resolved);

// Bound sockets: either one for each address, all with the same port, or one at a path of the file
// system. The path is removed when this object is destroyed.
//
// Thread-compatible.
class BoundSockets {
 public:
  // Resolves HOST:PORT and binds. INVALID_ARGUMENT: `address` is not HOST:PORT. UNAVAILABLE: the
  // host has no address, or an address cannot be bound. Messages begin with the flag's name.
  static absl::StatusOr<BoundSockets> Bind(const AddressFlag& flag, const std::string& address);

  // Binds to addresses that share a port. Port 0 takes a port that is free on all addresses.
  // UNAVAILABLE names the address that cannot be bound.
  static absl::StatusOr<BoundSockets> Bind(std::vector<SocketAddress> addresses);

  // Binds a socket at `path`. Replaces an old socket there if no server listens on it.
  // INVALID_ARGUMENT: the path is empty or too long. UNAVAILABLE: a server listens there, or no
  // socket can be made. The message says why.
  static absl::StatusOr<BoundSockets> BindPath(const std::string& path);

  BoundSockets(BoundSockets&& other) noexcept = default;
  ~BoundSockets() { RemovePath(); }

  // Removes the path now, if there is one. Call this before the sockets stop listening, because
  // afterwards the path may belong to another server's socket.
  void RemovePath();

  // Listens on all sockets. Accepting on them does not block. UNAVAILABLE: another process listens
  // on an address.
  absl::Status Listen() const;

  // The addresses, with the port that was taken.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  // The port that all sockets have; 0 for a socket at a path.
  int port() const;
  const std::vector<FileDescriptor>& sockets() const { return sockets_; }

 private:
  explicit BoundSockets(std::vector<SocketAddress> addresses) : addresses_(std::move(addresses)) {}
  absl::Status BindEach();

  std::vector<SocketAddress> addresses_;
  std::vector<FileDescriptor> sockets_;  // one for each address; empty if moved from
  std::string path_;                     // "" if there is no path, or it was removed
};

// Returns UNAVAILABLE with the text "FLAG: cannot listen on ADDRESS: WHY; give another one, or
// OTHERS". WHY is the message of `why`. If the message says that another process listens on
// ADDRESS, the text is "FLAG: ADDRESS is in use by another process; ...".
absl::Status CannotListen(const AddressFlag& flag, const std::string& address,
                          const absl::Status& why);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_LISTEN_ADDRESS_H_
