#ifndef QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_
#define QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"

namespace qkserve {

// The open connections, and the limits of their number.
//
// gRPC closes sockets without telling anybody. Therefore the table keeps the number of each
// descriptor's socket, and Sweep asks the system which descriptors still have that socket. This
// takes about 0.3 us for each.
//
// Thread-compatible.
class ConnectionTable {
 public:
  // The time between two sweeps while a limit is reached. It bounds the cost of refusals, because a
  // sweep of 8192 connections takes 2.5 ms.
  static constexpr absl::Duration kSweepEvery = absl::Milliseconds(100);

  // Returns a number that identifies a descriptor's socket. 0: the descriptor is no open socket.
  using SocketNumber = std::function<uint64_t(int descriptor)>;

  // `connections_max` is the limit of all connections, and `per_peer_max` is the limit of
  // connections from one peer.
  ConnectionTable(int64_t connections_max, int64_t per_peer_max,
                  SocketNumber number = NumberOfSocket)
      : connections_max_(connections_max),
        per_peer_max_(per_peer_max),
        number_(std::move(number)) {}

  enum class Outcome { kAdded, kFull, kPeerFull };

  // Adds an open socket if the limits allow it. `peer` is the PeerPrefix of its remote address. If
  // `peer` is empty, only the limit of all connections applies.
  Outcome Add(int descriptor, const std::string& peer, absl::Time now);

  // Forgets connections that have ended.
  void Sweep();

  int64_t count() const { return static_cast<int64_t>(open_.size()); }

  // Returns the inode of a descriptor's socket, or 0 if the descriptor is no open socket.
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

// Returns how many connections are allowed in a process that may open `files` files. This is
// `connections_max`, or a lower number that leaves `reserved` files for everything else. The lower
// number is at least half of `files`, and at least 1.
int64_t ConnectionsAllowed(int64_t connections_max, int64_t files, int64_t reserved);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_CONNECTION_TABLE_H_
