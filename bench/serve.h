#ifndef QKSERVE_BENCH_SERVE_H_
#define QKSERVE_BENCH_SERVE_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve::bench {

// Answers a request, on the gRPC thread that delivered it. A pool with one thread for each CPU was
// measured, too. The pool was as fast or up to a tenth slower.
using Answer = std::function<grpc::Status(const v1::ScoreRequest&, v1::ScoreResponse*)>;

struct BaselineServer {
  Answer answer;                      // answers ScoringService.Score
  grpc::Service* key_sets = nullptr;  // null: there is no second service
  int blas_threads = 1;               // threads of one OpenBLAS call
};

// Serves on a free loopback port, writes the port to `port_file` and returns after SIGTERM. Call it
// before other threads exist, because it blocks that signal.
absl::Status ServeUntilTerminated(const BaselineServer& baseline, const std::string& port_file);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_SERVE_H_
