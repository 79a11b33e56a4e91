#ifndef QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_
#define QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"

namespace qkserve {

// The connections that are open, and the limits of their number.
//
// gRPC closes a socket without telling anybody. So the table remembers which socket each descriptor
// was, and Sweep asks the system which of them still are: about 0.3 us each.
//
// Thread-compatible.
class ConnectionTable {
 public:
  // The time between two looks for ended connections while a limit is reached. It bounds what
  // refusals cost: a look at 8192 connections takes 2.5 ms.
  static constexpr absl::Duration kSweepEvery = absl::Milliseconds(100);

  // Tells sockets apart: the number of the socket behind a descriptor. 0: it is no open socket.
  using SocketNumber = std::function<uint64_t(int descriptor)>;

  // The limits of all connections, and of those from one peer.
  ConnectionTable(int64_t connections_max, int64_t per_peer_max,
                  SocketNumber number = NumberOfSocket)
      : connections_max_(connections_max),
        per_peer_max_(per_peer_max),
        number_(std::move(number)) {}

  enum class Outcome { kAdded, kFull, kPeerFull };

  // Adds an open socket if the limits allow it. `peer` stands for the address that it comes from
  // (see PeerPrefix); "" has no limit of its own.
  Outcome Add(int descriptor, const std::string& peer, absl::Time now);

  // Forgets connections that have ended.
  void Sweep();

  int64_t count() const { return static_cast<int64_t>(open_.size()); }

  // The socket's inode.
  static uint64_t NumberOfSocket(int descriptor);

 private:
  struct Connection {
    uint64_t number = 0;
    std::string peer = {};
  };

  Outcome Check(const std::string& peer) const;
  void Forget(const std::string& peer);

  const int64_t connections_max_;
  const int64_t per_peer_max_;
  const SocketNumber number_;
  std::unordered_map<int, Connection> open_;  // by descriptor
  std::unordered_map<std::string, int64_t> of_peer_;
  absl::Time sweep_from_ = absl::InfinitePast();
};

// How many connections the server may take if the process may open `files` files:
// `connections_max`, or fewer, so that `reserved` files are left for everything else. If there are
// very few files, connections get half of them.
int64_t ConnectionsAllowed(int64_t connections_max, int64_t files, int64_t reserved);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_
