#ifndef QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_
#define QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/mutex.h"

namespace qkserve {

// Keeps connections that gRPC has ended until their peers have read all replies.
//
// gRPC ends a connection with shutdown(SHUT_RDWR) and close. If the peer writes after that, Linux
// resets the connection, and the peer loses the bytes that it has not read (decision 14). Therefore
// farewells.cc replaces the process's function `shutdown` by one that calls Keep. Keep only ends
// the sending. A thread discards what the peer still writes, until the peer closes.
//
// Guarantees:
//  1. A socket is kept for at most Limits::time_max.
//  2. A kept socket is in no epoll set, because gRPC must get no event of a connection that it has
//     closed.
//  3. A socket that is not kept ends as it would without this class.
//
// Thread-safe.
class Farewells {
 public:
  struct Limits {
    int64_t sockets_max = 256;  // kept at a time; each takes a descriptor
    // The most bytes that a peer may still write. A peer that writes more is not finishing its
    // calls.
    int64_t discarded_bytes_max = int64_t{1} << 20U;
    // The longest time for which a peer that has received everything may neither write nor close.
    absl::Duration silence_max = absl::Seconds(2);
    absl::Duration time_max = absl::Seconds(60);
  };

  // Returns the object for gRPC's sockets. It is never destroyed, like gRPC. The first call starts
  // its thread, and throws std::system_error if the system gives no thread.
  static Farewells& OfProcess();

  Farewells(Limits limits, const Clock* clock);

  // Remembers an open socket that gRPC is about to get.
  void Watch(int socket);

  // Shuts a socket down for sending and keeps a duplicate. Returns false, and leaves the end of the
  // socket to the caller, if one of these holds: the socket was not watched, its peer has already
  // closed, sockets_max sockets are kept, no descriptor is free, the socket is in no epoll set, or
  // the system refuses. Ends the watch of the socket in all cases. Does not block.
  bool Keep(int socket);

  // The number of kept sockets.
  int64_t count() const {
    MutexLock lock(&mutex_);
    return count_;
  }

  // Blocks until no socket is kept, or until `deadline` on `clock`. Returns how many sockets are
  // still kept.
  int64_t AwaitNone(const Clock& clock, absl::Time deadline);

 private:
  struct Kept {
    FileDescriptor socket;
    absl::Time end;
    absl::Time silent_since;
    int64_t discarded_bytes = 0;
  };

  bool LeaveEpollSets(int socket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration Step();
  bool IsOver(Kept& kept) const;

  const Limits limits_;
  const Clock& clock_;
  std::vector<Kept> kept_;  // used by the thread alone
  mutable Mutex mutex_;
  CondVar none_;
  // The inode of each watched descriptor's socket. It shows if the descriptor is another file by
  // now.
  std::unordered_map<int, uint64_t> watched_ ABSL_GUARDED_BY(mutex_);
  // The process's epoll sets, as they were when Keep first needed them.
  std::optional<std::vector<int>> epoll_sets_ ABSL_GUARDED_BY(mutex_);
  std::vector<Kept> arrived_ ABSL_GUARDED_BY(mutex_);  // the thread will take these
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;          // sockets in kept_ and arrived_
  BackgroundThread thread_;                            // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_
