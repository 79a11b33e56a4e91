#ifndef QKSERVE_CORE_BATCHING_JOB_H_
#define QKSERVE_CORE_BATCHING_JOB_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace qkserve {

// What the batcher must know of a request to schedule it.
struct JobSpec {
  // Pieces of work that different threads may do at the same time. 0: nothing to do.
  int64_t tile_count = 1;

  // What all tiles should take one worker.
  absl::Duration cost = absl::ZeroDuration();

  // When the request was there, on the batcher's clock. Not given: when it is submitted.
  absl::Time arrival = absl::InfinitePast();

  // Jobs with the same group may be answered in one pass (Job::MakePass), and `shared_cost` of what
  // each would cost alone is then paid once. Null: none. An identity, never read: what it points to
  // lives as long as the job.
  const void* group = nullptr;
  absl::Duration shared_cost = absl::ZeroDuration();

  // Whose part of the time a job of a group is taken from: each lane gets an equal part.
  const void* lane = nullptr;

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

// One go over what several jobs share: tiles that any threads may run in any order, each once.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual int64_t tile_count() const = 0;  // at least 1
  virtual absl::Status RunTile(int64_t tile) = 0;
};

// A request as the batcher sees it: tiles to run and one status to give.
class Job {
 public:
  virtual ~Job() = default;

  // Runs one tile. Called at most once for each tile, from any thread, also at the same time as
  // other tiles. The first error ends the job; tiles that have not begun are then not run.
  virtual absl::Status RunTile(int64_t tile) = 0;

  // For a job of a group, instead of RunTile: the pass that answers `jobs`, all of this job's group
  // and this one among them, when all its tiles have run. An error ends them all. The pass is
  // destroyed before they are finished.
  virtual absl::StatusOr<std::unique_ptr<Pass>> MakePass(absl::Span<Job* const> jobs) {
    return absl::InternalError(absl::StrCat("no pass for ", jobs.size(), " jobs"));
  }

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
