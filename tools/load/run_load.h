#ifndef QKSERVE_TOOLS_LOAD_RUN_LOAD_H_
#define QKSERVE_TOOLS_LOAD_RUN_LOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/byte_buffer.h"
#include "qkserve/metadata.h"
#include "tools/load/load_counts.h"
#include "tools/load/request_set.h"
#include "tools/load/schedule.h"

namespace qkserve {

// The options of a load, which is a closed or an open loop. docs/load.md explains the terms.
struct LoadOptions {
  // The callers of a closed loop; 0 for an open loop.
  int concurrency = 0;

  // Requests a second of an open loop, at the start and at the end.
  double rate_from = 0;
  double rate_to = 0;
  Arrivals arrivals = Arrivals::kPoisson;
  int64_t in_flight_max = 10'000;

  absl::Duration warm_up;                       // not counted
  absl::Duration duration = absl::Seconds(10);  // positive
  absl::Duration timeout = absl::Seconds(60);   // limit of a call and of goodput
  int attempts = 1;  // the most of each request; retries are as in the client library
  absl::Duration latency_limit = absl::InfiniteDuration();  // limit of LoadCounts::within_limit
  uint64_t seed = 1;  // seed of arrivals and of the choice of key sets

  RateProfile Profile() const { return {rate_from, rate_to, warm_up, duration}; }
};

// An interval of the measured time. Counts the requests that were sent in the interval and the
// answers that came in it.
struct LoadInterval {
  absl::Duration begin;  // counted from the start of the measured time
  absl::Duration length;
  std::optional<double> due;  // requests expected to become due, in an open loop
  int64_t sent = 0;
  int64_t ok = 0;
  int64_t good = 0;
  int64_t errors = 0;
  absl::Duration p50, p90, p99, p999, p9999, max;  // response times of the ok requests
  double batch_requests_mean = 0;                  // requests a batch: the mean over batches
  absl::Duration queued_mean, computed_mean;
};

// Returns the figures of `counts`, which cover [begin, begin + length) of the measured time.
LoadInterval MakeInterval(const LoadOptions& options, absl::Duration begin, absl::Duration length,
                          const LoadCounts& counts);

struct LoadResult {
  LoadOptions options;
  LoadCounts counts;
  std::vector<LoadInterval> timeline;

  // The load in a few long intervals, which show how a changing rate affects latency.
  std::vector<LoadInterval> stretches;

  // The measured time. It is shorter if the load ended early. Throughput counts only the requests
  // of `counts` that were answered OK within this time.
  absl::Duration elapsed;
  int64_t completed = 0;
  int64_t completed_good = 0;

  bool interrupted = false;   // ended early by the caller
  absl::Status nobody_there;  // UNAVAILABLE if no server answered; the load may have ended early

  double RequestsPerSecond() const { return PerSecond(completed); }
  double GoodputPerSecond() const { return PerSecond(completed_good); }

  // Returns the whole load as one interval.
  LoadInterval Whole() const;

  // True if at least 99% of the requests that were due were sent. Always true in a closed loop.
  bool KeptSchedule() const;

 private:
  double PerSecond(int64_t count) const;
};

struct LoadProgress {
  const LoadOptions& options;
  absl::Duration at;  // counted from the start of the load, warm-up included
  const LoadCounts& counts;
};

// Called about ten times a second on RunLoad's thread. If the observer returns false, the load ends
// at once, and requests in flight are cancelled.
using LoadObserver = std::function<bool(const LoadProgress&)>;

// Called on the senders' threads for each answer that was OK. `request` is the index in the set,
// and `sequence` numbers the requests. The tap must return fast. It may keep a copy of `reply`,
// which shares the bytes.
using AnswerTap =
    std::function<void(int64_t sequence, size_t request, const grpc::ByteBuffer& reply)>;

struct LoadTarget {
  std::vector<std::shared_ptr<grpc::Channel>> channels = {};  // at least one
  const RequestSet* requests = nullptr;
  AnswerTap tap = nullptr;
  Metadata metadata = {};  // of each request; must be valid for AddMetadata
  std::vector<std::shared_ptr<grpc::Channel>> spare_channels = {};  // for retries only
};

// Sends until the time is over, then waits for the answers. Blocks. Each answer comes within the
// timeout. The load ends early
// - when `stop` becomes true. Answers that are missing a second later are given up.
// - if no server answers. In this case all first requests end with UNAVAILABLE before any request
//   ends otherwise. The first requests are one for each caller, or 10 of an open loop.
// - when the observer returns false.
LoadResult RunLoad(const LoadOptions& options, const LoadTarget& target, const Clock* clock,
                   const std::atomic<bool>& stop, const LoadObserver& observer = nullptr);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_RUN_LOAD_H_
