#ifndef QKSERVE_BENCH_SERVE_H_
#define QKSERVE_BENCH_SERVE_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace qkserve::bench {

// The other side of a ChildServer: serves on a free loopback port, writes it to `port_file` and
// returns after SIGTERM, which must be blocked in all threads (BlockTermination).
absl::Status ServeUntilTerminated(absl::Span<grpc::Service* const> services,
                                  const std::string& port_file);

// Call it before other threads exist: they inherit it.
void BlockTermination();

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_SERVE_H_
