#ifndef QKSERVE_BENCH_MEASUREMENT_H_
#define QKSERVE_BENCH_MEASUREMENT_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "bench/contender.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// Contenders take turns. In each round every contender has a turn, in a new random order. A machine
// that becomes slower or busier then slows all contenders.
struct RoundOptions {
  int rounds = 15;
  absl::Duration turn = absl::Milliseconds(100);

  // How long the same requests are sent before each turn without being measured. In this time the
  // threads of the previous contender stop spinning (OpenBLAS's threads spin for about 30 ms), and
  // the threads of this contender wake.
  absl::Duration warm_up = absl::Milliseconds(40);

  // The fewest requests of a turn, however long they take.
  int requests_min = 3;

  uint64_t seed = 1;
};

// --- One caller ---------------------------------------------------------------------------------

struct Ask {
  std::string name;
  // Answers one request. A contender without receipts does not change `receipt`.
  std::function<absl::Status(v1::Receipt* receipt)> ask;
};

struct LatencySamples {
  std::string name;
  std::vector<double> latency_us;  // latency of every measured request
  std::vector<double> queued_us;   // queued time of every request, from its receipt
  std::vector<double> computed_us;
  std::vector<double> round_latency_us;  // the median of each round, in order
  std::vector<double> round_computed_us;
};

// Returns one element for each contender, in the order given. The first error ends the measurement
// and is returned.
absl::StatusOr<std::vector<LatencySamples>> MeasureLatency(absl::Span<const Ask> contenders,
                                                           const RoundOptions& options);

// --- Many callers -------------------------------------------------------------------------------

struct ThroughputSamples {
  std::string name;
  std::vector<double> round_requests_per_s;  // one value for each round, in order
  std::vector<double> latency_us;            // latency of every request answered in its turn
  std::vector<double> batch_requests;        // size of every request's batch, from its receipt

  // The CPU time for each request, of the server's process and of this process. If the two
  // processes together use all CPUs, the machine limits the rate.
  std::vector<double> round_server_cpu_us;
  std::vector<double> round_client_cpu_us;
};

// Measures a closed loop. Each of `concurrency` callers sends a request as soon as its last one is
// answered. Caller i always sends requests[i % size]. A request that is only partly in a turn
// counts for that part. Contenders that do not serve many callers are left out.
absl::StatusOr<std::vector<ThroughputSamples>> MeasureThroughput(
    absl::Span<const Contender> contenders, absl::Span<const v1::ScoreRequest> requests,
    int concurrency, const RoundOptions& options);

// Returns the samples called `name`, which must exist.
template <typename Samples>
const Samples& SamplesOf(absl::string_view name, const std::vector<Samples>& all) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Samples& one) { return one.name == name; });
  if (found == all.end()) std::abort();
  return *found;
}

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_MEASUREMENT_H_
