#ifndef QKSERVE_SERVER_OBSERVE_LOAD_HISTORY_H_
#define QKSERVE_SERVER_OBSERVE_LOAD_HISTORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/observe/request_metrics.h"

namespace qkserve {

// The work of a server, since its start or in an interval.
struct LoadCounts {
  int64_t answered = 0;                           // Score calls answered with OK
  std::array<int64_t, kStatusCodes> errors = {};  // all calls, by code; OK stays 0
  RequestMetrics::TimeHistogram latency;          // of the answered calls
  int64_t batches = 0;
  int64_t batch_requests = 0;
  int64_t batch_rows = 0;
  double cpu_seconds = 0;
};

// A server's state at one time.
struct LoadState {
  int64_t queue_requests = 0;
  double queue_seconds = 0;  // predicted, for all workers together
  int64_t in_flight_requests = 0;
  int64_t in_flight_bytes = 0;
  int64_t key_set_bytes = 0;
};

struct LoadSample {
  absl::Time at;            // the end of the interval
  absl::Duration interval;  // since the sample before
  LoadCounts counts;        // of the interval
  // The members below were read at the end of the interval.
  std::optional<LoadState> state;  // nullopt: key sets were being loaded
  int64_t resident_bytes = 0;
};

// The last ten minutes of a server, one sample a second. Samples are numbered from 1 on, so that a
// reader can ask for the samples that it lacks.
//
// The history needs at most about 320 KB. Thread-compatible.
class LoadHistory {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr size_t kSamplesMax = 600;

  // The first sample is the difference from `counts`. The clock must outlive the history.
  LoadHistory(const LoadCounts& counts, const Clock* clock)
      : clock_(*clock), counts_(counts), at_(clock->Now()) {}

  // Returns when Add is to be called next. A later call makes a longer interval.
  absl::Time due() const { return at_ + kInterval; }

  // Adds a sample, and drops the oldest one if there are too many. `counts` are sums since the
  // server started. Does nothing if no time has passed since the last call.
  void Add(const LoadCounts& counts, const std::optional<LoadState>& state, int64_t resident_bytes);

  // The samples, the oldest first.
  const std::deque<LoadSample>& samples() const { return samples_; }
  // The number of samples().front() or, if there are no samples, the number of the next sample.
  int64_t first_number() const { return next_number_ - static_cast<int64_t>(samples_.size()); }
  // Returns how many of the samples a reader has if its newest one is `number`. Returns 0 if no
  // sample has had this number yet, because then the reader's samples are from an earlier server.
  size_t CountUpTo(int64_t number) const;
  // The sums since the server started, as the last Add got them.
  const LoadCounts& counts() const { return counts_; }

 private:
  const Clock& clock_;
  LoadCounts counts_;
  absl::Time at_;
  int64_t next_number_ = 1;
  std::deque<LoadSample> samples_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LOAD_HISTORY_H_
