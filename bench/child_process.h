#ifndef QKSERVE_BENCH_CHILD_PROCESS_H_
#define QKSERVE_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qkserve::bench {

// A server in a process of its own, on a loopback port that it chose and wrote to a file. It is
// ended with SIGTERM, and also when this process dies.
//
// Thread-compatible. The kernel ends the child when the thread that started it ends, so start
// children on the main thread.
class ChildServer {
 public:
  // Runs command[0] (a path) with "--port_file=FILE" added and waits until it has written its port.
  // Its output is discarded, except the last line if it does not start.
  // DEADLINE_EXCEEDED: no port within `timeout`. ABORTED: the child ended instead.
  static absl::StatusOr<std::unique_ptr<ChildServer>> Start(std::vector<std::string> command,
                                                            absl::Duration timeout);
  ~ChildServer();
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }

  // A field of /proc/PID/status in MB: "VmRSS:", or "VmHWM:", the peak since the start or since
  // ResetMemoryPeak. 0: the system does not say.
  double MemoryMb(absl::string_view field) const;
  void ResetMemoryPeak() const;

  // Ends the child with SIGTERM, or with SIGKILL after `timeout`. OK: it went by itself with code
  // 0. Only the first call does anything.
  absl::Status Stop(absl::Duration timeout = absl::Seconds(10));

 private:
  explicit ChildServer(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // 0 once it has ended and was waited for
  std::string address_;
};

// The command for ChildServer::Start that runs the program at `path` as a user does, but on a port
// of its choice.
std::vector<std::string> QkserveCommand(const std::string& path);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_CHILD_PROCESS_H_
