#ifndef QKSERVE_TESTS_SUPPORT_QUEUE_SIMULATION_H_
#define QKSERVE_TESTS_SUPPORT_QUEUE_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/batching/batch_policy.h"

namespace qkserve {

// A value that changes over the time since a simulation began.
using OverTime = std::function<double(absl::Duration)>;

// Callers who send requests of one kind in an open loop, at random (Poisson) times.
struct SimulatedCallers {
  WorkKind kind = WorkKind::kPass;
  int64_t tiles = 1;
  absl::Duration cost = {};         // predicted time of one worker
  absl::Duration shared_cost = {};  // the part that a pass pays once
  uint64_t key_sets = 1;            // taken in turn
  absl::Duration timeout = absl::InfiniteDuration();
  OverTime load = {};  // offered work divided by what all workers can do
};

// Counts and times of the requests of some callers. Refusals are counted for each limit.
struct SimulatedOutcome {
  int64_t sent = 0;
  int64_t in_time = 0;
  int64_t late = 0;                         // answered, but after the deadline
  std::map<std::string, int64_t> refused;   // on arrival
  std::map<std::string, int64_t> dropped;   // later; "" counts those that expired
  std::vector<absl::Duration> responses;    // of those in time: from arrival to answer
  std::vector<absl::Duration> queued;       // of those in time: from arrival to first tile
  std::vector<absl::Duration> drops;        // of those dropped: from arrival to drop
  std::vector<absl::Duration> retry_after;  // of all refused or dropped for a limit
  std::vector<absl::Time> answered;         // when each request in time was answered

  int64_t Refused() const { return Sum(refused); }
  int64_t Dropped() const { return Sum(dropped); }

 private:
  static int64_t Sum(const std::map<std::string, int64_t>& counts);
};

// The value that `percent` percent of the sample do not exceed, or 0 if the sample is empty.
absl::Duration PercentileOf(std::vector<absl::Duration> sample, int percent);

// Workers and a BatchQueue in virtual time. There are no threads and no real clock, so a simulated
// second takes some milliseconds. A tile takes its predicted time multiplied by `slowness`, plus or
// minus a third.
struct QueueSimulation {
  BatchPolicyOptions options = {};
  std::vector<SimulatedCallers> callers = {};
  OverTime slowness = [](absl::Duration) { return 1.0; };
  absl::Duration duration = absl::Seconds(8);

  static constexpr absl::Time kBegin = absl::UnixEpoch();

  struct Result {
    std::vector<SimulatedOutcome> outcomes;  // one for each of `callers`
    int64_t waiting_max = 0;                 // the largest number of waiting requests
    // The work that was answered in time, divided by what the workers could do.
    double goodput = 0;
  };
  Result Run() const;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_QUEUE_SIMULATION_H_
