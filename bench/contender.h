#ifndef QKSERVE_BENCH_CONTENDER_H_
#define QKSERVE_BENCH_CONTENDER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bench/child_process.h"
#include "bench/remote.h"

namespace qkserve::bench {

inline constexpr absl::string_view kEchoName = "echo";
inline constexpr absl::string_view kQkserveName = "qkserve";

// A program to start, with its flags.
struct ContenderCommand {
  std::string name;
  std::vector<std::string> command;
  bool computes = true;     // false: its replies are no scores
  bool serves_many = true;  // true: it is measured with many callers, too
};

// A server that is compared, in a child process.
struct Contender {
  std::string name;
  bool computes = true;
  bool serves_many = true;
  std::unique_ptr<ChildServer> server;  // outlives `remote`
  std::unique_ptr<Remote> remote;
};

// Starts the servers. Call SelectKernelsOrReexec first, because children inherit its choice.
// DEADLINE_EXCEEDED, ABORTED: a server did not start.
absl::StatusOr<std::vector<Contender>> StartContenders(absl::Span<const ContenderCommand> commands);

// Stops the servers. Returns OK if all ended with code 0.
absl::Status StopContenders(std::vector<Contender>& contenders);

// Returns `status` with the contender's name in front of its message.
absl::Status About(const Contender& contender, const absl::Status& status);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_CONTENDER_H_
