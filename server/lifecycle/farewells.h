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

// Connections that gRPC has ended, until their peers have read all replies.
//
// gRPC ends a connection by shutdown(SHUT_RDWR) and close. If the peer still writes then, Linux
// resets the connection, and the peer loses what it has not read (decision 14). farewells.cc
// defines the process's function shutdown, which asks Keep. A kept socket only stops sending. A
// thread discards what the peer still writes, until the peer closes.
//
// Guarantees:
//  1. A socket is kept for at most Limits::time_max.
//  2. A kept socket is in no epoll set, so gRPC gets no event of a connection that it has closed.
//  3. A socket that is not kept ends as without this class.
//
// Thread-safe.
class Farewells {
 public:
  struct Limits {
    int64_t sockets_max = 256;  // kept at a time; each takes a descriptor
    // A peer that writes more than this is not finishing its calls.
    int64_t discarded_bytes_max = int64_t{1} << 20U;
    // How long a peer that has received everything may neither write nor close.
    absl::Duration silence_max = absl::Seconds(2);
    absl::Duration time_max = absl::Seconds(60);
  };

  // The sockets of gRPC. Never destroyed, like gRPC. The first call starts a thread: it throws
  // std::system_error if the system gives none.
  static Farewells& OfProcess();

  Farewells(Limits limits, const Clock* clock);

  // Remembers an open socket that gRPC is about to get.
  void Watch(int socket);

  // Shuts a socket down for sending and keeps a duplicate. Returns false, and leaves the socket to
  // the caller, if it was not watched, if its peer has closed already, or if no place, descriptor
  // or epoll set is found. The socket is watched no longer. Does not block.
  bool Keep(int socket);

  // The number of kept sockets.
  int64_t count() const {
    MutexLock lock(&mutex_);
    return count_;
  }

  // Blocks until no socket is kept, or until `deadline` on `clock`. Returns how many are left.
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
  std::vector<Kept> kept_;  // the thread's
  mutable Mutex mutex_;
  CondVar none_;
  // The number of the socket (its inode) behind each descriptor: another file may have it by now.
  std::unordered_map<int, uint64_t> watched_ ABSL_GUARDED_BY(mutex_);
  // The process's epoll sets when the first socket was kept.
  std::optional<std::vector<int>> epoll_sets_ ABSL_GUARDED_BY(mutex_);
  std::vector<Kept> arrived_ ABSL_GUARDED_BY(mutex_);  // the thread takes them
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;          // of both vectors
  BackgroundThread thread_;                            // last, because it uses the members above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_FAREWELLS_H_
