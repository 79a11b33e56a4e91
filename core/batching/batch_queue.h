#ifndef QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
#define QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/batch_policy.h"
#include "core/batching/cost_ratio.h"
#include "core/batching/fair_share.h"
#include "core/batching/job.h"
#include "core/batching/ranked_costs.h"
#include "core/batching/tenant_loads.h"

namespace qkserve {

// A job that waits or runs, with what the queue keeps about it.
struct QueuedJob {
  std::unique_ptr<Job> job;
  JobSpec spec;
  absl::Time arrival;

  // The cost that the queue counts for this job (see JobSpec).
  absl::Duration queue_cost = absl::ZeroDuration();

  absl::Status status;  // why the job was dropped, or how it ran
  JobReceipt receipt;
};
using QueuedJobs = std::vector<std::shared_ptr<QueuedJob>>;

// Work that is handed out tile by tile and answered when the last tile is done: a large job, or
// jobs of a group that share a pass.
struct TiledWork {
  QueuedJobs jobs;
  std::unique_ptr<Pass> pass;  // null for a single job, which has its own tiles

  LaneId lane;
  absl::Time rank;
  WorkKind kind = WorkKind::kTiled;
  int64_t tile_count = 0;
  absl::Duration tile_cost = absl::ZeroDuration();
  absl::Duration cost = absl::ZeroDuration();        // cost of all tiles
  absl::Duration queue_cost = absl::ZeroDuration();  // sum of the jobs' queue_cost
  // The part of `cost` that is charged to `lane`, tile by tile. Other lanes, whose jobs joined the
  // pass, are charged when the pass is taken.
  absl::Duration charged_cost = absl::ZeroDuration();

  // The number of tiles handed out so far. Tiles are handed out in order.
  int64_t tiles_taken = 0;
  int64_t tiles_running = 0;
  absl::Time started = absl::InfinitePast();
  absl::Time ended = absl::InfinitePast();            // when the last tile so far ended
  absl::Duration worker_time = absl::ZeroDuration();  // sum over the tiles that ended
  absl::Status status;                                // the first error of a tile

  // Returns one tile's part of a cost of all tiles. Does not divide if there is one tile, because
  // most work has one tile and divisions of durations are slow.
  absl::Duration OfOneTile(absl::Duration of_all) const {
    return tile_count <= 1 ? of_all : of_all / tile_count;
  }
};

// Writes the times of the work into the receipts of its jobs. A job's part of the workers' time is
// in proportion to its part of the cost. Requires that at least one tile has ended, or that the
// pass could not be made.
void WriteReceipts(const TiledWork& work);

// Small jobs that run one after the other and are answered together.
struct SmallJobs {
  QueuedJobs jobs;
  absl::Duration cost = absl::ZeroDuration();
};

// Jobs that share a pass. The worker makes the pass.
struct PassToMake {
  std::shared_ptr<TiledWork> work;
};

// One tile of a large job, or of a pass that has been made.
struct TileToRun {
  std::shared_ptr<TiledWork> work;
  int64_t tile = 0;
};

// The next thing that a worker does.
struct Assignment {
  // std::monostate: nothing is worth running now.
  std::variant<std::monostate, SmallJobs, PassToMake, TileToRun> work;

  // Jobs that are not run any further. The `status` of each says why. None of their tiles is
  // running. The worker only has to finish these jobs. If some of their tiles ran, the receipts
  // have the times.
  QueuedJobs dropped;

  bool HasWork() const { return !std::holds_alternative<std::monostate>(work); }
};

// The queue, without threads or locks. Decides which work is next, and in which portions.
//
// Work waits in lanes. Each tenant gets an equal share of the time while it has any work, and its
// lanes divide this share (FairShare). Normal and low work of a tenant wait in separate lanes:
//
//  - Small jobs (KindOf) are taken in groups, in the order of their ranks (RankOf). So a small job
//    never waits for more than a tile of each worker. A group with room also takes small jobs of
//    the next tenants, if it is their turn.
//  - Large jobs hand out their tiles one at a time. The next tile comes from the job with the
//    lowest rank. Jobs of callers who can wait less, short jobs and early jobs have lower ranks.
//    Later arrivals rank later, so no job waits for ever.
//  - A tenant's jobs of one family of groups wait in one lane, in the order of their ranks. The job
//    whose turn it is begins a pass. Waiting jobs of its group join the pass (JoinsPass): first
//    those of its lane, then those of the family's other lanes. Low jobs do not join a pass that a
//    normal job began. The pass hands out its tiles like a large job. Each tenant is charged for
//    its own jobs (CostInPass), whoever began the pass.
//  - The jobs of a family that cost more than pass_cost_max wait in a second lane. The tenant's
//    other jobs never wait for more than a tile of such a job.
//
// Not thread-safe. Batcher holds its lock during every call.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchPolicyOptions& options) : options_(options) {}

  // Adds a job. RESOURCE_EXHAUSTED: AdmitToQueue or AdmitByPrediction refuses the job. The job is
  // then not in the queue, and the status says when a retry may help.
  absl::Status Push(std::shared_ptr<QueuedJob> job, absl::Time now);

  // Tells the queue that work of `kind` ended at `now`. One worker was predicted to need
  // `predicted` for it, and needed `measured`.
  void Learn(WorkKind kind, absl::Duration predicted, absl::Duration measured, absl::Time now) {
    RatioOf(kind).Learn(predicted, measured, now);
  }

  // Returns the next work. Acquires a slot if the assignment HasWork. Drops jobs whose turn has
  // come if they have expired, are cancelled, have waited too long, or can no longer be answered in
  // time.
  Assignment Take(absl::Time now);

  // Tells the queue that the worker has made the pass that Take asked for. This call also takes the
  // first tile of the pass for the worker.
  void PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now);
  // Tells the queue that the pass could not be made. The caller must then finish the jobs of
  // `work`.
  void PassFailed(const TiledWork& work);

  // Tells the queue that a tile ran until `end`. Returns true if it was the last tile. The caller
  // must then finish the jobs with the `status` of the work.
  bool TileDone(TiledWork& work, const absl::Status& status, absl::Time end);

  // Tells the queue that small jobs have run.
  void SmallJobsDone(const SmallJobs& small) { running_cost_ -= small.cost; }

  // There are options.workers slots. Take acquires a slot for the work that it hands out. The
  // caller acquires a slot with AcquireSlot for a job that runs on its arrival thread. Every slot
  // must be released.
  void AcquireSlot() { ++summary_.busy; }
  void ReleaseSlot() { --summary_.busy; }

  bool HasWaiting() const { return share_.HasActive(); }
  bool HasFreeSlot() const { return summary_.busy < options_.workers; }
  const QueueSummary& summary() const { return summary_; }
  // Returns the cost of a job, corrected for its kind.
  absl::Duration CorrectedCost(const JobSpec& spec, absl::Time now) const {
    return spec.cost * RatioAt(KindOf(options_, spec), now);
  }
  // Returns the summary with corrected costs (CostRatio).
  QueueSummary CorrectedSummary(absl::Time now) const;

 private:
  struct Lane {
    // The cost of the work in the maps below, counted as in the summary, without tiles that have
    // begun. The maps are ordered by rank.
    RankedCosts cost;
    std::multimap<absl::Time, std::shared_ptr<QueuedJob>> small;      // small jobs
    std::multimap<absl::Time, std::shared_ptr<QueuedJob>> ungrouped;  // jobs that need a pass
    std::multimap<absl::Time, std::shared_ptr<TiledWork>> tiled;      // work with tiles left

    // The last time when a job of the lane had its turn within prompt_turn of its arrival. Until
    // then, the time when the lane got its first work.
    absl::Time prompt_at;

    bool IsEmpty() const { return small.empty() && ungrouped.empty() && tiled.empty(); }
  };

  // Returns the lane that a job waits in.
  LaneId LaneOf(const JobSpec& spec) const;
  // Returns the lane. Makes the lane if it does not exist, because lanes without work are not kept.
  // The caller must then add work.
  Lane& LaneWithWork(const LaneId& lane_id, absl::Time now);
  // Removes the lane if it has no work left.
  void RemoveIfEmpty(const LaneId& lane_id);
  // Take the next work of the lane: small jobs, the jobs of a pass, or a tile. Dropped jobs go to
  // assignment.dropped.
  void TakeSmall(absl::Time now, const LaneId& lane_id, Assignment& assignment);
  void TakePass(absl::Time now, const LaneId& lane_id, Assignment& assignment);
  void TakeTile(absl::Time now, const LaneId& lane_id, Assignment& assignment);
  // Moves jobs of the lane to `small` while the total cost of `small` is at most `cost_max`.
  // Returns true if `small` has no room for more.
  bool AddSmall(absl::Time now, const LaneId& lane_id, absl::Duration cost_max, SmallJobs& small,
                Assignment& assignment);
  // Jobs that join a pass, before it is made.
  struct JoiningJobs {
    std::shared_ptr<TiledWork> work;
    GroupId group;
    std::shared_ptr<QueuedJob> earliest;  // the job with the earliest deadline

    // Each visited lane and each skipped job lowers this number by 1. This bounds the time under
    // the lock.
    int skips_left = 256;
  };
  // Moves jobs of the lane that are in joining.group to the pass.
  void Join(absl::Time now, const LaneId& lane_id, JoiningJobs& joining, Assignment& assignment);
  // Calls Join for the other lanes of the family, which may be of other tenants.
  void JoinFromOthers(absl::Time now, JoiningJobs& joining, Assignment& assignment);
  // Charges the jobs of a pass to their lanes. The lane that began the pass is charged later, with
  // each tile.
  void ChargeJoined(absl::Time now, TiledWork& work);
  // True if the job's turn comes in time, and work of `cost` ends in time, whatever the cost ratios
  // are. The estimates below are then not needed. They would take a microsecond with the batcher's
  // lock held.
  bool HasAmpleTime(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // True if it is too late to begin a job that ends when work of `cost` is done. `cost` is not
  // corrected.
  bool IsTooLate(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // Checks a job whose turn has come. An error says why the job is dropped: an error of
  // CheckStillWanted, or RESOURCE_EXHAUSTED if the job has waited too long or would end too late.
  absl::Status CheckWorthBeginning(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // Checks a job of tiled work that has begun. An error says why the job is dropped: an error of
  // CheckStillWanted, or RESOURCE_EXHAUSTED if the job would end too late.
  absl::Status CheckWorthContinuing(const QueuedJob& job, const TiledWork& work,
                                    absl::Time now) const;
  // Notes that a job of the lane has its turn.
  void NoteTurn(const QueuedJob& job, absl::Time now, Lane& lane) const;
  // Returns the refusal `status`, with the time after which the caller may come again.
  absl::Status Refused(const absl::Status& status, absl::Time now) const;
  // Returns the error of a request that can no longer meet its deadline.
  absl::Status LateError(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // Starts the next tile. `lane` is null if no lane has the work any more.
  void StartTile(TiledWork& work, Lane* lane, absl::Time now);
  // Takes the tiles that have not begun out of the lane and the summary, and the jobs out of the
  // summary.
  void LeaveQueue(const TiledWork& work, Lane* lane);
  // Takes the work's jobs out of the summary, and out of the loads of their tenants.
  void RemoveRequests(const TiledWork& work);

  void AddToSummary(const LaneId& lane_id, WorkKind kind, int64_t requests, absl::Duration cost);

  CostRatio& RatioOf(WorkKind kind) { return ratios_[static_cast<size_t>(kind)]; }
  double RatioAt(WorkKind kind, absl::Time now) const {
    return ratios_[static_cast<size_t>(kind)].At(now);
  }
  // Returns the corrected cost of the work that other lanes and tenants get done while this lane
  // gets `own` done (TenantLoads).
  absl::Duration OthersMeanwhile(LaneId lane_id, absl::Duration own, const QueueSummary& corrected,
                                 double ratio) const;
  // Returns the corrected cost of the work that is done before a job of the lane at `rank` ends,
  // without the job's own work. This is the work that ranks before the job in its lane, the work
  // that runs, and the work that other lanes get done meanwhile.
  absl::Duration WorkAhead(LaneId lane_id, absl::Time rank, absl::Duration own,
                           const QueueSummary& corrected, double ratio) const;
  // Checks whether the job may be queued. `own` is the job's cost without the part that it shares
  // with waiting jobs.
  absl::Status Admit(const QueuedJob& job, absl::Duration own, LaneId lane_id,
                     absl::Time now) const;

  const BatchPolicyOptions options_;
  FairShare share_;
  std::map<LaneId, Lane> lanes_;  // the lanes that are not empty
  TenantLoads loads_;
  // The lanes whose jobs may join a pass of another lane, by family.
  std::set<std::pair<FamilyId, LaneId>> joinable_;
  QueueSummary summary_;
  absl::Duration
      pass_cost_;  // the part of large_cost that belongs to passes and to jobs that wait for one
  absl::Duration running_cost_;    // cost of the groups and tiles that run
  mutable uint64_t refusals_ = 0;  // numbers refusals, for RetryAfter
  std::array<CostRatio, kWorkKinds> ratios_;
};

// Returns OK if the job is still worth running, otherwise DEADLINE_EXCEEDED or CANCELLED.
absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
