#ifndef QKSERVE_BENCH_BASELINE_H_
#define QKSERVE_BENCH_BASELINE_H_

#include <string>

#include "absl/status/status.h"

// Servers to compare with, written with generated protobuf code and the callback API as most
// servers are. Each serves on a free loopback port, writes it to `port_file` and returns after
// SIGTERM. Call them before other threads exist, for they block that signal.

namespace qkserve::bench {

enum class Baseline {
  kEcho,   // computes nothing; replies with as many bytes as the answer would have
  kStock,  // one OpenBLAS call a request, in the handler
};

// Serves qkserve.v1.ScoringService.Score for inline float32 keys of rank 2. One OpenBLAS call uses
// `blas_threads` threads. If these are more than one, handlers take turns.
absl::Status ServeInlineBaseline(Baseline baseline, int blas_threads, const std::string& port_file);

// Serves PutKeySet, and Score on key sets, for float32 of rank 2. Keys stay as they came. Outputs
// are SCORES, TOP_K and CONTEXT.
absl::Status ServeResidentBaseline(Baseline baseline, const std::string& port_file);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_BASELINE_H_
