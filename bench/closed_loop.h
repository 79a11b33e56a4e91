#ifndef QKSERVE_BENCH_CLOSED_LOOP_H_
#define QKSERVE_BENCH_CLOSED_LOOP_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "bench/remote.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

struct Window {
  absl::Time begin;
  absl::Time end;

  // Returns the part (0 to 1) of the time from `sent` to `answered` that is in the window.
  double PartOf(absl::Time sent, absl::Time answered) const;
};

// The counts of all callers in the window.
struct LoopTally {
  double requests = 0;                 // a request partly in the window counts for that part
  std::vector<double> latency_us;      // latencies of requests answered in the window
  std::vector<double> batch_requests;  // batch sizes, from the receipts of these requests
};

// Callers that each send the next request when their last one is answered, until the window ends. A
// caller is not a thread. Each connection has a completion queue with one thread, which serves all
// callers of the connection. This costs two thirds of the CPU time that a thread for each caller
// would cost.
//
// Thread-compatible. `remote` and `requests` must outlive this object.
class ClosedLoop {
 public:
  // Starts the loop. Caller i sends requests[i % size] on connection i % channels.
  ClosedLoop(const Remote& remote, absl::Span<const v1::ScoreRequest> requests, int callers,
             const Window& window);
  ~ClosedLoop();
  ClosedLoop(const ClosedLoop&) = delete;
  ClosedLoop& operator=(const ClosedLoop&) = delete;

  // Waits until all requests are answered. The first error ends the loop and is returned.
  absl::StatusOr<LoopTally> Join();

 private:
  struct Caller;
  struct Queue;

  void Serve(Queue& queue);
  void Send(Caller& caller, Queue& queue);
  void Count(const Caller& caller, absl::Time answered, Queue& queue);

  const Window window_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<std::thread> threads_;
  std::atomic<bool> failed_{false};
};

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_CLOSED_LOOP_H_
