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

// A server's work: sums since it started, or an interval's part of them.
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
  absl::Duration interval;  // since the sample before it
  LoadCounts counts;        // of the interval
  // The next members are as they were at the end.
  std::optional<LoadState> state;  // nullopt: key sets were being loaded
  int64_t resident_bytes = 0;
};

// The last ten minutes of a server, one sample a second. Samples are numbered from 1 on, so that a
// reader can ask for those that it does not have.
//
// It needs about 320 KB at most. Thread-compatible.
class LoadHistory {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr size_t kSamplesMax = 600;

  // The first sample is the difference from `counts`. The clock must outlive the history.
  LoadHistory(const LoadCounts& counts, const Clock* clock)
      : clock_(*clock), counts_(counts), at_(clock->Now()) {}

  // When Add is to be called next. A later call makes a longer interval.
  absl::Time due() const { return at_ + kInterval; }

  // Adds a sample, and drops the oldest one if there are too many. `counts` are sums since the
  // server started. Does nothing if no time has passed since the last call.
  void Add(const LoadCounts& counts, const std::optional<LoadState>& state, int64_t resident_bytes);

  // The oldest first.
  const std::deque<LoadSample>& samples() const { return samples_; }
  // The number of samples().front(). If there is none, of the next sample.
  int64_t first_number() const { return next_number_ - static_cast<int64_t>(samples_.size()); }
  // How many of the samples a reader has whose newest one is `number`. 0 if no sample has had this
  // number yet: the reader's samples are of an earlier server.
  size_t CountUpTo(int64_t number) const;
  // The sums since the server started, as they were given last.
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
