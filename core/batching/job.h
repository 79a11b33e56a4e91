#ifndef QKSERVE_CORE_BATCHING_JOB_H_
#define QKSERVE_CORE_BATCHING_JOB_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace qkserve {

// What the batcher must know of a request to schedule it.
struct JobSpec {
  // Pieces of work that different threads may do at the same time. 0: nothing to do.
  int64_t tile_count = 1;

  // What all tiles should take one worker.
  absl::Duration cost = absl::ZeroDuration();

  // When the request was there, on the batcher's clock. Not given: when it is submitted.
  absl::Time arrival = absl::InfinitePast();

  // Query rows, for the receipt.
  int64_t rows = 0;

  // On the batcher's clock. An answer after it is worth nothing.
  absl::Time deadline = absl::InfiniteFuture();
};

// How a job was run; see qkserve.v1.Receipt.
struct JobReceipt {
  absl::Duration queued = absl::ZeroDuration();
  absl::Duration computed = absl::ZeroDuration();
  int64_t batch_requests = 0;
  int64_t batch_rows = 0;
};

// A request as the batcher sees it: tiles to run and one status to give.
class Job {
 public:
  virtual ~Job() = default;

  // Runs one tile. Called at most once for each tile, from any thread, also at the same time as
  // other tiles. The first error ends the job; tiles that have not begun are then not run.
  virtual absl::Status RunTile(int64_t tile) = 0;

  // Called exactly once, after the last RunTile has returned, on a thread that ran a tile or that
  // found the job expired, or on the submitting thread. Must not block.
  //
  // OK: every tile ran, the deadline has not passed. Otherwise DEADLINE_EXCEEDED, CANCELLED,
  // RESOURCE_EXHAUSTED (the queue is full), UNAVAILABLE (draining) or RunTile's error.
  virtual void Finish(const absl::Status& status, const JobReceipt& receipt) = 0;

  // Whether the caller has gone. Any thread, any time, also with the batcher's lock held: must not
  // call the batcher.
  virtual bool IsCancelled() const = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_JOB_H_
