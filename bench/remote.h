#ifndef QKSERVE_BENCH_REMOTE_H_
#define QKSERVE_BENCH_REMOTE_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve::bench {

// A server and connections to it. All servers are called with the same generated code, so that the
// client costs the same for each. Thread-safe.
class Remote {
 public:
  Remote(const std::string& address, pid_t pid, int channels);

  // Asks for scores and waits for the answer.
  absl::Status Score(const v1::ScoreRequest& request, v1::ScoreResponse* response) const;

  int channels() const { return static_cast<int>(stubs_.size()); }

  // Returns the stub of a caller's connection. Caller i uses connection i % channels().
  v1::ScoringService::Stub& StubOf(int caller) const;

  // Returns the CPU time that the server's process has spent so far.
  absl::Duration CpuTime() const;

 private:
  const pid_t pid_;
  std::vector<std::unique_ptr<v1::ScoringService::Stub>> stubs_;
};

// Returns the CPU time that this process has spent so far.
absl::Duration OwnCpuTime();

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_REMOTE_H_
