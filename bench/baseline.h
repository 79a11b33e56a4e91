#ifndef QKSERVE_BENCH_BASELINE_H_
#define QKSERVE_BENCH_BASELINE_H_

#include <string>

#include "absl/status/status.h"

// Servers to compare qkserve with. They use generated protobuf code and the callback API, as most
// servers do. Each function below serves on a free loopback port, writes the port to `port_file`
// and returns after SIGTERM. Call it before other threads exist, because it blocks that signal.

namespace qkserve::bench {

enum class Baseline {
  kEcho,   // computes nothing; replies with as many bytes as the answer would have
  kStock,  // one OpenBLAS call for each request, in the handler
};

// Serves qkserve.v1.ScoringService.Score for inline float32 keys of rank 2. One OpenBLAS call uses
// `blas_threads` threads. With more than one thread, handlers take turns.
absl::Status ServeInlineBaseline(Baseline baseline, int blas_threads, const std::string& port_file);

// Serves PutKeySet, and Score on key sets, for float32 of rank 2. Keys are stored as they arrive.
// Outputs are SCORES, TOP_K and CONTEXT.
absl::Status ServeResidentBaseline(Baseline baseline, const std::string& port_file);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_BASELINE_H_
