#ifndef QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
#define QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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

  // What the job counts for in the queue's predicted time: its cost, but no more than half of what
  // may wait, so that one giant, which others overtake, does not close the queue to them.
  absl::Duration queue_cost = absl::ZeroDuration();

  absl::Status status;  // why it was dropped
};

// Work that is handed out tile by tile and answered when the last one is done: a large job, or the
// jobs of a group that share a pass.
struct TiledWork {
  std::vector<std::shared_ptr<QueuedJob>> jobs;
  std::unique_ptr<Pass> pass;  // null: the tiles are those of the one job

  const void* lane = nullptr;
  absl::Time rank;
  WorkKind kind = WorkKind::kTiled;
  int64_t tile_count = 0;
  absl::Duration tile_cost = absl::ZeroDuration();
  absl::Duration cost = absl::ZeroDuration();        // of all tiles
  absl::Duration queue_cost = absl::ZeroDuration();  // likewise, in the queue's predicted time

  // Tiles are handed out in order.
  int64_t tiles_taken = 0;
  int64_t tiles_running = 0;
  absl::Time started = absl::InfinitePast();
  absl::Time ended = absl::InfinitePast();  // of the tiles so far
  absl::Status status;                      // the first error of a tile
};

// What a worker does next.
struct Assignment {
  // Small jobs to run one after the other and answer together, and their cost; or
  std::vector<std::shared_ptr<QueuedJob>> group;
  absl::Duration group_cost = absl::ZeroDuration();

  // one tile; or, where the tile is kMakePass, jobs that need a pass first.
  static constexpr int64_t kMakePass = -1;
  std::shared_ptr<TiledWork> work;
  int64_t tile = 0;

  // Jobs that expired or were cancelled while they waited: `status` says so, none of their tiles is
  // running. To be finished, at no cost.
  std::vector<std::shared_ptr<QueuedJob>> dropped;

  bool HasWork() const { return !group.empty() || work != nullptr; }
};

// The queue without threads or locks: which work is next, in which portions.
//
// Work waits in lanes, and each lane gets an equal part of the time while it has any (FairShare):
//
//  - Small jobs (IsSmall) wait in order of arrival and are taken in groups, so that a small job
//    never waits for more than a tile of each worker.
//  - Large jobs hand out their tiles one at a time. The next tile comes from the one with the
//    earliest arrival + cost: the shorter goes first, equals go in order of arrival, and nobody
//    waits for ever, because later arrivals rank later whatever they cost.
//  - Every key set (JobSpec::lane) has a lane, in the same order. A job whose turn it is takes
//    those of its group that wait along in one pass (JoinsPass), which hands out its tiles like a
//    large job. Jobs that cost more than a pass may have a lane of their own beside it: the others
//    never wait for more than a tile of theirs.
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

  // The next work. Counts a turn as busy where HasWork(). Jobs that are met on the way and have
  // expired, are cancelled, or cannot be answered in time any more are dropped.
  Assignment Take(absl::Time now);

  // The pass that Take asked for is there, and the worker takes its first tile with it.
  void PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now);
  // Or it could not be made, and the jobs are to be finished.
  void PassFailed(const TiledWork& work);

  // A tile that was handed out has run until `end`. True where it was the last one, so that the
  // jobs must now be finished with the work's `status`.
  bool TileDone(TiledWork& work, const absl::Status& status, absl::Time end);

  // A group that was handed out has run.
  void GroupDone(const Assignment& assignment) { running_cost_ -= assignment.group_cost; }

  // A turn began outside the queue (a job on its arrival thread), or any turn ended.
  void TurnBegins() { ++summary_.busy; }
  void TurnEnds() { --summary_.busy; }

  bool HasWaiting() const { return share_.HasActive(); }
  bool TurnIsFree() const { return summary_.busy < options_.workers; }
  const QueueSummary& summary() const { return summary_; }
  // The same, with the costs that are to be expected after what was learned.
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

  const void* LaneOf(const JobSpec& spec) const;
  void TakeGroup(absl::Time now, Lane& lane, Assignment& assignment);
  void TakePass(absl::Time now, Lane& lane, Assignment& assignment);
  void TakeTile(absl::Time now, Lane& lane, Assignment& assignment);
  // True if work of `cost` meets the deadline whatever the cost ratios are: the estimates below,
  // which cost a microsecond with the batcher's lock held, are then not needed.
  bool HasAmpleTime(const JobSpec& spec, absl::Duration cost, absl::Time now) const;
  // True if it is too late to begin a job that ends with work of `cost`, uncorrected.
  bool IsTooLate(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // OK, or why the job is dropped when its turn has come: as CheckStillWanted, or
  // RESOURCE_EXHAUSTED where it would end too late.
  absl::Status CheckWorthBeginning(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  absl::Status CheckWorthGoingOn(const QueuedJob& job, const TiledWork& work, absl::Time now) const;
  // A request that cannot meet its deadline any more.
  absl::Status LateError(const QueuedJob& job, absl::Duration cost, absl::Time now) const;
  // `lane` is null where none has the work.
  void StartTile(TiledWork& work, Lane* lane, absl::Time now);
  void LeaveQueue(const TiledWork& work, Lane* lane);

  void AddLargeCost(WorkKind kind, absl::Duration cost);

  CostRatio& RatioOf(WorkKind kind) { return ratios_[static_cast<size_t>(kind)]; }
  double RatioAt(WorkKind kind, absl::Time now) const {
    return ratios_[static_cast<size_t>(kind)].At(now);
  }
  // Corrected work that other lanes get done while this one gets `own`: each at most as much.
  absl::Duration OthersMeanwhile(const void* lane_id, absl::Duration own,
                                 const QueueSummary& corrected, double ratio) const;
  // Corrected work that is done before a job that comes to the lane at `rank` has ended, without
  // its own: what ranks before it there, the tiles that run, and what other lanes get.
  absl::Duration WorkAhead(const void* lane_id, absl::Time rank, absl::Duration own,
                           const QueueSummary& corrected, double ratio) const;
  // `own`: its cost, without what it shares with jobs that wait.
  absl::Status Admit(const QueuedJob& job, absl::Duration own, const void* lane_id,
                     absl::Time now) const;

  const BatchPolicyOptions options_;
  FairShare share_;
  std::map<const void*, Lane> lanes_;  // those that are not empty
  QueueSummary summary_;
  absl::Duration pass_cost_;     // the part of large_cost that waits for passes or is of passes
  absl::Duration running_cost_;  // of the groups and tiles being run
  std::array<CostRatio, kWorkKinds> ratios_;
};

// OK, DEADLINE_EXCEEDED or CANCELLED: whether the job is still worth running.
absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
