#ifndef QKSERVE_BENCH_OVERLOAD_RUN_H_
#define QKSERVE_BENCH_OVERLOAD_RUN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/child_process.h"
#include "bench/workload.h"
#include "grpcpp/channel.h"
#include "tools/load/request_set.h"
#include "tools/load/run_load.h"

namespace qkserve::bench {

// The result of an open loop at a multiple of the peak.
struct OverloadPoint {
  double load = 0;       // the offered rate, as a multiple of the peak
  double goodput = 0;    // requests/s that were answered in time
  bool is_void = false;  // the generator could not send all that was due
  int64_t sent = 0;
  int64_t refused = 0;      // RESOURCE_EXHAUSTED
  int64_t late = 0;         // answered or ended after the deadline
  int64_t failed = 0;       // any other error
  int64_t unanswered = 0;   // calls without a status
  absl::Duration p50, p99;  // response times of accepted requests, from when they were due
  absl::Duration refused_p99;
  double memory_mb = 0;  // the server's peak memory
  // The time that the server needs to recover after the load drops to 0.8 of the peak. It has
  // recovered when 90 % of the requests that are due in half a second are answered in time.
  // Infinite if it did not recover while it was measured. 0 if `load` is at most 1.
  absl::Duration recovery;
};

struct OverloadSeries {
  double peak = 0;          // requests/s of a closed loop
  absl::Duration deadline;  // 10 * CPUs / peak, in seconds
  std::vector<OverloadPoint> points;
};

// Sends the requests of one workload to a server.
class OverloadRun {
 public:
  // Uploads the key set if the workload is resident. Errors are those of the client.
  static absl::StatusOr<std::unique_ptr<OverloadRun>> Create(const BenchWorkload& workload,
                                                             const ChildServer& server);

  // Measures the peak, then a point for each of `loads`, each for `duration`.
  absl::StatusOr<OverloadSeries> Measure(const std::vector<double>& loads,
                                         absl::Duration duration) const;

 private:
  OverloadRun(const BenchWorkload& workload, const ChildServer& server)
      : workload_(workload), server_(server) {}

  LoadResult Send(const LoadOptions& options) const;
  absl::StatusOr<double> Peak(absl::Duration duration) const;
  OverloadPoint Point(const OverloadSeries& series, double load, absl::Duration duration) const;

  const BenchWorkload workload_;
  const ChildServer& server_;
  RequestSet requests_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_OVERLOAD_RUN_H_
