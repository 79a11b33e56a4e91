#ifndef QKSERVE_BENCH_INLINE_BASELINE_H_
#define QKSERVE_BENCH_INLINE_BASELINE_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve::bench {

enum class Baseline {
  kEcho,   // computes nothing; replies with as many bytes as the scores would have
  kStock,  // one OpenBLAS call a request, in the handler
};

// Serves qkserve.v1.ScoringService.Score for inline float32 keys of rank 2 on a free loopback port,
// written with generated protobuf code and the callback API as most servers are. Writes the port to
// `port_file` and returns after SIGTERM. Call it before other threads exist, for it blocks that
// signal.
//
// blas_threads: threads of one OpenBLAS call. With more than one, handlers take turns.
absl::Status ServeInlineBaseline(Baseline baseline, int blas_threads, const std::string& port_file);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_INLINE_BASELINE_H_
