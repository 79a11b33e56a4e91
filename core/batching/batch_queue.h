#ifndef QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
#define QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/batch_policy.h"
#include "core/batching/cost_ratio.h"
#include "core/batching/fair_share.h"
#include "core/batching/job.h"

namespace qkserve {

// A job in the queue or under way, with what the queue keeps of it.
struct QueuedJob {
  std::unique_ptr<Job> job;
  JobSpec spec;
  absl::Time arrival;

  // The job's part of the queue's predicted time (see JobSpec). Capped at half of what may wait:
  // small jobs overtake a huge one, so it must not make the queue look full to them.
  absl::Duration queue_cost = absl::ZeroDuration();

  absl::Status status;  // why it was dropped, or how it ran
  JobReceipt receipt;
};
using QueuedJobs = std::vector<std::shared_ptr<QueuedJob>>;

// Work that is handed out tile by tile and answered when the last one is done: a large job, or the
// jobs of a group that share a pass.
struct TiledWork {
  QueuedJobs jobs;
  std::unique_ptr<Pass> pass;  // null: the tiles are those of the one job

  LaneId lane;
  absl::Time rank;
  WorkKind kind = WorkKind::kTiled;
  int64_t tile_count = 0;
  absl::Duration tile_cost = absl::ZeroDuration();
  absl::Duration cost = absl::ZeroDuration();        // of all tiles
  absl::Duration queue_cost = absl::ZeroDuration();  // the sum of the jobs' parts

  // Tiles are handed out in order.
  int64_t tiles_taken = 0;
  int64_t tiles_running = 0;
  absl::Time started = absl::InfinitePast();
  absl::Time ended = absl::InfinitePast();  // of the tiles so far
  absl::Status status;                      // the first error of a tile
};

// Small jobs to run one after the other and answer together.
struct SmallJobs {
  QueuedJobs jobs;
  absl::Duration cost = absl::ZeroDuration();
};

// Jobs that share a pass, which the worker makes.
struct PassToMake {
  std::shared_ptr<TiledWork> work;
};

// One tile of work that is cut already.
struct TileToRun {
  std::shared_ptr<TiledWork> work;
  int64_t tile = 0;
};

// The next thing that a worker does.
struct Assignment {
  // No work: nothing is worth running now.
  std::variant<std::monostate, SmallJobs, PassToMake, TileToRun> work;

  // Jobs that expired or were cancelled while they waited: `status` says so, none of their tiles is
  // running. To be finished, at no cost.
  QueuedJobs dropped;

  bool HasWork() const { return !std::holds_alternative<std::monostate>(work); }
};

// The queue without threads or locks: which work is next, in which portions.
//
// Work waits in lanes, and each lane gets an equal part of the time while it has any (FairShare):
//
//  - Small jobs (KindOf) wait in order of arrival and are taken in groups, so that a small job
//    never waits for more than a tile of each worker.
//  - Large jobs hand out their tiles one at a time. The next tile comes from the one with the
//    earliest arrival + cost: the shorter goes first, equals go in order of arrival. Every job
//    gets its turn, because later arrivals rank later whatever they cost.
//  - Every tenant has a lane for the jobs of its groups, in the same order. A job whose turn it is
//    takes those of its group that wait along in one pass (JoinsPass), which hands out its tiles
//    like a large job. Jobs that cost more than a pass may have a lane of their own beside it: the
//    others never wait for more than a tile of theirs.
//
// Not thread-safe: Batcher holds its lock around every call.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchPolicyOptions& options) : options_(options) {}

  // RESOURCE_EXHAUSTED if AdmitToQueue or AdmitByDeadline refuses; the job is unchanged, and the
  // status says when a retry may help.
  absl::Status Push(std::shared_ptr<QueuedJob> job, absl::Time now);

  // Work of a kind was predicted to take a worker `predicted` and took it `measured`, until `now`.
  void Learn(WorkKind kind, absl::Duration predicted, absl::Duration measured, absl::Time now) {
    RatioOf(kind).Learn(predicted, measured, now);
  }

  // The next work. Acquires a slot where HasWork(). Jobs that are met on the way and have
  // expired, are cancelled, or cannot be answered in time any more are dropped.
  Assignment Take(absl::Time now);

  // The pass that Take asked for is there, and the worker takes its first tile with it.
  void PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now);
  // Or it could not be made, and the jobs are to be finished.
  void PassFailed(const TiledWork& work);

  // A tile that was handed out has run until `end`. True where it was the last one, so that the
  // jobs must now be finished with the work's `status`.
  bool TileDone(TiledWork& work, const absl::Status& status, absl::Time end);

  // Small jobs that were handed out have run.
  void SmallJobsDone(const SmallJobs& small) { running_cost_ -= small.cost; }

  // There is a slot for each of options.workers. Take acquires one for the work it hands out; a job
  // that runs on its arrival thread acquires one here. Every slot must be released.
  void AcquireSlot() { ++summary_.busy; }
  void ReleaseSlot() { --summary_.busy; }

  bool HasWaiting() const { return share_.HasActive(); }
  bool HasFreeSlot() const { return summary_.busy < options_.workers; }
  const QueueSummary& summary() const { return summary_; }
  // The same with corrected costs (CostRatio).
  QueueSummary CorrectedSummary(absl::Time now) const;

 private:
  struct Lane {
    // Cost of the work below, as the summary counts it: of tiled work, the tiles not begun.
    absl::Duration cost = absl::ZeroDuration();
    std::deque<std::shared_ptr<QueuedJob>> small;                     // by arrival
    std::multimap<absl::Time, std::shared_ptr<QueuedJob>> ungrouped;  // need a pass; by rank
    std::multimap<absl::Time, std::shared_ptr<TiledWork>> tiled;      // have tiles left; by rank

    bool IsEmpty() const { return small.empty() && ungrouped.empty() && tiled.empty(); }
  };

  // The lane that a job waits in.
  LaneId LaneOf(const JobSpec& spec) const;
  // Take the next work of the lane: a group of small jobs, the jobs of a pass, or a tile. Jobs that
  // are dropped on the way go to assignment.dropped.
  void TakeSmall(absl::Time now, Lane& lane, Assignment& assignment);
  void TakePass(absl::Time now, Lane& lane, Assignment& assignment);
  void TakeTile(absl::Time now, Lane& lane, Assignment& assignment);
  // True if work of `cost` meets the deadline whatever the cost ratios are. The estimates below,
  // which cost a microsecond with the batcher's lock held, are then not needed.
  bool HasAmpleTime(const JobSpec& spec, absl::Duration cost, absl::Time now) const;
  // True if it is too late to begin a job that ends with work of `cost`, uncorrected.
  bool IsTooLate(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // OK, or why the job is dropped when its turn has come: as CheckStillWanted, or
  // RESOURCE_EXHAUSTED where it would end too late.
  absl::Status CheckWorthBeginning(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // The same for a job of tiled work that has begun.
  absl::Status CheckWorthContinuing(const QueuedJob& job, const TiledWork& work,
                                    absl::Time now) const;
  // The error of a request that can no longer meet its deadline.
  absl::Status LateError(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // `lane` is null where none has the work.
  void StartTile(TiledWork& work, Lane* lane, absl::Time now);
  // Takes the tiles that have not begun out of the lane and the summary.
  void LeaveQueue(const TiledWork& work, Lane* lane);

  void AddToSummary(WorkKind kind, int64_t requests, absl::Duration cost);

  CostRatio& RatioOf(WorkKind kind) { return ratios_[static_cast<size_t>(kind)]; }
  double RatioAt(WorkKind kind, absl::Time now) const {
    return ratios_[static_cast<size_t>(kind)].At(now);
  }
  // Corrected work that other lanes get done while this lane gets `own` done: each lane at most as
  // much.
  absl::Duration OthersMeanwhile(LaneId lane_id, absl::Duration own, const QueueSummary& corrected,
                                 double ratio) const;
  // Corrected work that is done before a job that comes to the lane at `rank` has ended, without
  // its own: what ranks before it there, the tiles that run, and what other lanes get.
  absl::Duration WorkAhead(LaneId lane_id, absl::Time rank, absl::Duration own,
                           const QueueSummary& corrected, double ratio) const;
  // `own`: its cost, without what it shares with jobs that wait.
  absl::Status Admit(const QueuedJob& job, absl::Duration own, LaneId lane_id,
                     absl::Time now) const;

  const BatchPolicyOptions options_;
  FairShare share_;
  std::map<LaneId, Lane> lanes_;  // those that are not empty
  QueueSummary summary_;
  absl::Duration pass_cost_;     // the part of large_cost that waits for passes or is of passes
  absl::Duration running_cost_;  // of the groups and tiles being run
  std::array<CostRatio, kWorkKinds> ratios_;
};

// OK, DEADLINE_EXCEEDED or CANCELLED: whether the job is still worth running.
absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
