#ifndef QKSERVE_SERVER_LIFECYCLE_ACCEPTOR_H_
#define QKSERVE_SERVER_LIFECYCLE_ACCEPTOR_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "server/lifecycle/connection_table.h"
#include "server/lifecycle/listen_address.h"

namespace qkserve {

// The reason why a connection was refused: the limit of all connections, the limit of connections
// from one peer, or a lack of descriptors.
enum class ConnectionRefusal { kFull, kPeerFull, kNoDescriptor };
inline constexpr std::array kConnectionRefusalNames = {"connections", "connections_per_peer",
                                                       "open_files"};

// Counts of connections, for metrics. Thread-safe.
struct ConnectionCounts {
  std::atomic<int64_t> max{0};
  // The open connections, counted at most a second ago. During a drain the number stays as it was
  // when the drain began, because the counting thread has ended.
  std::atomic<int64_t> open{0};
  std::atomic<int64_t> accepted{0};
  std::array<std::atomic<int64_t>, kConnectionRefusalNames.size()> refused = {};
};

// Accepts connections for gRPC within limits, on a separate thread.
//
// Guarantees:
//  1. A connection beyond a limit is closed at once, so that its client learns of it and can try
//     another server.
//  2. If the process has no descriptor left, connections are closed at once, too. When descriptors
//     are free again, connections are accepted again.
//  3. A place is free again at most ConnectionTable::kSweepEvery after a connection has ended.
//
// gRPC 1.51 accepts connections without a limit, and stops accepting for good at the first error
// (decision 19).
class Acceptor {
 public:
  // The pause if a waiting connection can be neither accepted nor closed.
  static constexpr absl::Duration kRetryAfter = absl::Milliseconds(100);
  // The shortest time between two lines of the log about refused connections.
  static constexpr absl::Duration kLogEvery = absl::Seconds(10);

  struct Options {
    int64_t connections_max = 1;
    int64_t per_peer_max = 1;
    // The time after which the system ends a TCP connection whose peer takes no bytes. Such a peer
    // has vanished, or has full buffers and does not read.
    absl::Duration unsent_timeout = absl::InfiniteDuration();
    // Takes ownership of an accepted socket. The accepting thread calls it.
    std::function<void(int socket)> take = {};
    LogSink log = {};
  };

  // Accepts connections from `sockets`, which must listen already. The pointers must outlive this
  // object.
  Acceptor(BoundSockets sockets, Options options, ConnectionCounts* counts, const Clock* clock);

  // Stops listening. Connections stay open.
  ~Acceptor();

  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  void Poll();
  void Accept(int listening);
  void OnError(int listening, int error);
  void Count(ConnectionRefusal why) { ++counts_.refused[static_cast<size_t>(why)]; }
  void Log(absl::string_view why, const std::string& peer);

  BoundSockets sockets_;
  const Options options_;
  ConnectionCounts& counts_;
  const Clock& clock_;
  // Only the thread uses the members from here to unlogged_.
  ConnectionTable table_;
  FileDescriptor spare_;  // freed to accept and close a connection if no other descriptor is left
  absl::Time accept_from_ = absl::InfinitePast();
  absl::Time sweep_at_ = absl::InfinitePast();
  absl::Time log_from_ = absl::InfinitePast();
  int64_t unlogged_ = 0;  // refusals since the last line of the log

  std::atomic<bool> is_stopping_{false};
  std::thread thread_;  // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_ACCEPTOR_H_
