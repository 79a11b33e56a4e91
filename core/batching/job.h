#ifndef QKSERVE_CORE_BATCHING_JOB_H_
#define QKSERVE_CORE_BATCHING_JOB_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "qkserve/caller.h"

namespace qkserve {

// Jobs with the same group may share passes. Each version of a key set has a group. kNone: the job
// shares nothing and runs its own tiles.
enum class GroupId : uint64_t { kNone = 0 };

// Groups that take their turns together: the versions of a key set.
enum class FamilyId : uint64_t { kNone = 0 };

// The tenant that pays for a job. All tenants that have work get an equal share of the time.
enum class TenantId : uint64_t {};

// All that the batcher must know about a request to schedule it.
//
// Three costs tell how much work a job adds. All are predicted times of one worker. An example:
//
//   cost                      The job alone: 10 ms, of which 8 ms read the keys.
//   shared_cost               The part that a pass pays once: 8 ms. A second job of the group adds
//                             cost - shared_cost = 2 ms, so a pass over both costs 12 ms.
//   QueuedJob::queue_cost     What the queue counts while the job waits: 10 ms, or 2 ms if another
//                             job of the family already waits for a pass.
struct JobSpec {
  // The pieces of work that different threads may do at the same time. 0: there is nothing to do. A
  // job of a group has no tiles, because its pass has them.
  int64_t tile_count = 1;

  absl::Duration cost = absl::ZeroDuration();

  // The time when the whole request had arrived, on the batcher's clock. If this is not set, the
  // time of Submit counts.
  absl::Time arrival = absl::InfinitePast();

  // If not kNone, a pass answers the job (Job::MakePass).
  GroupId group = GroupId::kNone;
  absl::Duration shared_cost = absl::ZeroDuration();  // 0 without a group
  FamilyId family = FamilyId::kNone;                  // kNone without a group

  TenantId tenant = {};
  Priority priority = Priority::kNormal;  // matters only between the jobs of a tenant

  // Query rows, for the receipt.
  int64_t rows = 0;

  // The deadline, on the batcher's clock. A later answer is worth nothing.
  absl::Time deadline = absl::InfiniteFuture();
};

// How a job was run (see qkserve.v1.Receipt).
struct JobReceipt {
  absl::Duration queued = absl::ZeroDuration();
  absl::Duration computed = absl::ZeroDuration();
  int64_t batch_requests = 0;
  int64_t batch_rows = 0;
  // The job's part of the time that workers spent on its batch. Jobs in one pass divide what the
  // pass pays once. Not sent to the caller.
  absl::Duration worker_time = absl::ZeroDuration();
};

// Work that answers one or several jobs together, cut into tiles. Any threads may run the tiles, in
// any order, each tile once.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual int64_t tile_count() const = 0;  // at least 1
  virtual absl::Status RunTile(int64_t tile) = 0;
};

// A job's part in a pass. The batcher only carries pointers to it. The code that makes jobs and
// passes defines the type, once for the whole program.
struct PassRequest;

// A request as the batcher sees it: tiles to run and one status to give.
class Job {
 public:
  virtual ~Job() = default;

  // Runs one tile. Called at most once for each tile, from any thread, even while other tiles run.
  // The first error ends the job: tiles that have not begun are then not run.
  virtual absl::Status RunTile(int64_t tile) = 0;

  // Returns this job's part in a pass. The part lives as long as the job. Not null for a job of a
  // group.
  virtual const PassRequest* pass_request() const { return nullptr; }

  // Makes the pass that answers `requests`. Called for a job of a group, instead of RunTile. The
  // requests belong to jobs of this job's group. The first one is this job's request. An error of
  // this call or of a tile ends all these jobs. The pass is destroyed before the jobs are finished.
  virtual absl::StatusOr<std::unique_ptr<Pass>> MakePass(
      absl::Span<const PassRequest* const> requests) {
    return absl::InternalError(absl::StrCat("no pass for ", requests.size(), " requests"));
  }

  // Called exactly once, by a worker or by the submitting thread, after the last RunTile has
  // returned. Must not block.
  //
  // OK: every tile ran, and the deadline has not passed. Otherwise DEADLINE_EXCEEDED, CANCELLED,
  // RESOURCE_EXHAUSTED (the queue is full), UNAVAILABLE (draining) or RunTile's error.
  virtual void Finish(const absl::Status& status, const JobReceipt& receipt) = 0;

  // True if the caller has gone. Called from any thread at any time, even with the batcher's lock
  // held. Must not call the batcher.
  virtual bool IsCancelled() const = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_JOB_H_
