#ifndef QKSERVE_BENCH_RESIDENT_BASELINE_H_
#define QKSERVE_BENCH_RESIDENT_BASELINE_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve::bench {

enum class ResidentBaseline {
  kEcho,   // computes nothing; replies with as many bytes as the answer would have
  kStock,  // one OpenBLAS call a request
};

// Serves PutKeySet, and Score on key sets, for float32 of rank 2, written with generated protobuf
// code and the callback API as most servers are. Keys stay as they came; outputs are SCORES, TOP_K
// and CONTEXT.
absl::Status ServeResidentBaseline(ResidentBaseline baseline, const std::string& port_file);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_BASELINE_H_
