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

// A server in a child process, on a loopback port that the server chose and wrote to a file. The
// server gets SIGTERM from Stop, from the destructor, and when this process dies.
//
// Thread-compatible. Start children on the main thread, because Linux ends a child when the thread
// that started the child ends.
class ChildServer {
 public:
  // Runs `command` with "--port_file=FILE" added; command[0] is a path. Waits until the child has
  // written its port. Discards the child's output. An error has the last line of the output.
  // DEADLINE_EXCEEDED: the child wrote no port within `timeout`. ABORTED: the child ended before it
  // wrote a port.
  static absl::StatusOr<std::unique_ptr<ChildServer>> Start(std::vector<std::string> command,
                                                            absl::Duration timeout);
  ~ChildServer();
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;

  // Returns "127.0.0.1:PORT".
  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }

  // Returns a field of /proc/PID/status in MB. "VmRSS:" is the memory now. "VmHWM:" is the peak
  // since the start or since ResetMemoryPeak. 0: the system does not have the field.
  double MemoryMb(absl::string_view field) const;
  void ResetMemoryPeak() const;

  // Ends the child with SIGTERM, or with SIGKILL after `timeout`. Returns OK if the child ended
  // with code 0. Only the first call has an effect.
  absl::Status Stop(absl::Duration timeout = absl::Seconds(10));

 private:
  explicit ChildServer(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // 0 after Stop, and if the child ended before it wrote a port
  std::string address_;
};

// Returns the command that runs qkserve at `path`, for ChildServer::Start. The server chooses its
// port and has no HTTP port. All other flags have their defaults.
std::vector<std::string> QkserveCommand(const std::string& path);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_CHILD_PROCESS_H_
