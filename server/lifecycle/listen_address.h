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

// Parses HOST:PORT as flags have it, with an IPv6 address in brackets. INVALID_ARGUMENT names the
// flag, what it was and what is possible.
absl::StatusOr<HostPort> ParseHostPort(const AddressFlag& flag, const std::string& address);

// HOST:PORT with `port` in place of its own port.
std::string WithPort(const std::string& address, int port);

// An IP address of the machine, with a port.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  // The address as text, for example 127.0.0.1:80 or [::1]:80.
  std::string Text() const;
  // The address as text without the port. "" if it is no IP address.
  std::string Host() const;
};

// The addresses that a host stands for, each once. gRPC and HTTP read hosts alike:
//
//   0.0.0.0, ::  every address of the machine, IPv4 and IPv6, with one socket
//   a name       all its addresses, but no IPv6 ones if the machine has no IPv6
//
// UNAVAILABLE: the name has no address; the message says why. Blocks while the name is looked up.
absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const HostPort& to);

// Checks that programs of other machines cannot reach HOST:PORT: it is loopback's. An address that
// cannot be resolved is OK, because nobody can listen on it. INVALID_ARGUMENT: it may be reached,
// so that plain text needs a decision; the message begins with the flag's name.
absl::Status CheckIsLoopback(const AddressFlag& flag, const std::string& address);

// The same for the IP addresses that HOST:PORT was resolved to.
absl::Status CheckAreLoopback(const AddressFlag& flag, const std::string& address,
                              const std::vector<SocketAddress>& resolved);

// Sockets for some addresses, one for each, all bound to the same port; or a socket at a path of
// the file system, which is removed with this object.
//
// Thread-compatible.
class BoundSockets {
 public:
  // Resolves HOST:PORT and binds. INVALID_ARGUMENT: it is no HOST:PORT. UNAVAILABLE: the host has
  // no address, or an address cannot be bound. Messages begin with the flag's name.
  static absl::StatusOr<BoundSockets> Bind(const AddressFlag& flag, const std::string& address);

  // Binds to addresses that share a port. Port 0 takes a port that is free on each of them.
  // UNAVAILABLE names the address that cannot be bound.
  static absl::StatusOr<BoundSockets> Bind(std::vector<SocketAddress> addresses);

  // Binds at a path. Replaces a socket that no server listens on. INVALID_ARGUMENT: the path is too
  // long. UNAVAILABLE: a server listens there, or no socket can be made; the message says why.
  static absl::StatusOr<BoundSockets> BindPath(const std::string& path);

  BoundSockets(BoundSockets&& other) noexcept = default;
  ~BoundSockets() { RemovePath(); }

  // Removes the path now, if there is one. Call it before the sockets stop listening: afterwards
  // another server may have its own socket there.
  void RemovePath();

  // Listens on all sockets. Accepting from them does not block. UNAVAILABLE: another process
  // listens on an address.
  absl::Status Listen() const;

  // The addresses, with the port that was taken.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  // The port that all sockets have. 0 at a path.
  int port() const;
  const std::vector<FileDescriptor>& sockets() const { return sockets_; }

 private:
  explicit BoundSockets(std::vector<SocketAddress> addresses) : addresses_(std::move(addresses)) {}
  absl::Status BindEach();

  std::vector<SocketAddress> addresses_;
  std::vector<FileDescriptor> sockets_;  // one for each address; empty if moved from
  std::string path_;                     // "" if there is none, or it was removed
};

// "FLAG: cannot listen on ADDRESS: why; give another one, or OTHERS". The status's message is why.
// If it says that another process listens on ADDRESS, the error is "FLAG: ADDRESS is in use by
// another process; ...".
absl::Status CannotListen(const AddressFlag& flag, const std::string& address,
                          const absl::Status& why);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_LISTEN_ADDRESS_H_
