#ifndef QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_
#define QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "server/limits.h"

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
//  2. A kept socket is in no epoll set that was known when it was kept, because gRPC must get no
//     event of a connection that it has closed.
//  3. A socket that is not kept ends as it would without this class.
//
// Thread-safe.
class Farewells {
 public:
  struct Limits {
    // The most sockets that are kept at a time, except in a drain. Each takes a descriptor.
    int64_t sockets_max = kFarewellsMax;
    // The most bytes that a peer may still write. A peer that writes more is not finishing its
    // calls.
    int64_t discarded_bytes_max = kFarewellBytesMax;
    // The longest time for which a peer that has received everything may neither write nor close.
    // The short one applies in a drain, and while more than half of sockets_max are kept.
    absl::Duration silence_max = kFarewellSilence;
    absl::Duration short_silence_max = kFarewellShortSilence;
    absl::Duration time_max = kFarewellTimeout;
  };

  // Returns the object for the sockets of all gRPC servers of the process. So the drain of one
  // server also awaits, and hurries, peers of the others. The object is never destroyed, like gRPC.
  // The first call starts its thread, and throws std::system_error if the system gives no thread.
  static Farewells& OfProcess();

  Farewells(Limits limits, const Clock* clock);

  // Remembers an open socket that gRPC is about to get. gRPC must have its epoll set by then.
  void Watch(int socket);

  // Shuts a socket down for sending and keeps a duplicate. Returns false, and leaves the end of the
  // socket to the caller, if one of these holds: the socket was not watched, its peer has already
  // closed, sockets_max is reached, no descriptor is free, the socket is in no epoll set, or the
  // system refuses. Ends the watch of the socket in all cases. Does not block.
  bool Keep(int socket);

  // The number of kept sockets.
  int64_t count() const {
    MutexLock lock(&mutex_);
    return count_;
  }

  // Called when a server has stopped accepting. Until EndDrain, sockets_max does not apply: each
  // kept socket takes the place of one that gRPC closes.
  void BeginDrain();

  // Blocks until no socket is kept, or until `time_max` has passed. Then ends the drain. Returns
  // how many sockets are still kept.
  int64_t EndDrain(absl::Duration time_max);

 private:
  struct Kept {
    FileDescriptor socket;
    absl::Time end;
    absl::Time silent_since;
    int64_t discarded_bytes = 0;
    int events = 0;  // which the last poll reported
  };

  void FindEpollSets() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool LeaveEpollSets(int socket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration Step();
  bool HasEnded(Kept& kept, absl::Time now) const;

  const Limits limits_;
  const Clock& clock_;
  // The thread alone uses these.
  std::vector<Kept> kept_;
  absl::Time look_from_ = absl::InfinitePast();

  mutable Mutex mutex_;
  CondVar none_;
  // The inode of each watched descriptor's socket. It shows if the descriptor is another file by
  // now.
  std::unordered_map<int, uint64_t> watched_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> epoll_sets_ ABSL_GUARDED_BY(mutex_);
  absl::Time find_from_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int64_t drains_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Kept> arrived_ ABSL_GUARDED_BY(mutex_);  // the thread will take these
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;          // sockets in kept_ and arrived_
  BackgroundThread thread_;                            // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_
