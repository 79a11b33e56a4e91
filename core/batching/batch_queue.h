#ifndef QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
#define QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/batch_policy.h"
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

  // Large jobs only. Tiles are handed out in order.
  int64_t tiles_taken = 0;
  int64_t tiles_running = 0;
  absl::Time started = absl::InfinitePast();
  absl::Time ended = absl::InfinitePast();  // of the tiles so far
  absl::Status status;                      // the first error
};

// What a worker does next.
struct Assignment {
  // Small jobs to run one after the other and answer together; or
  std::vector<std::shared_ptr<QueuedJob>> group;

  // one tile of a large job.
  std::shared_ptr<QueuedJob> large;
  int64_t tile = 0;

  // Jobs that expired or were cancelled while they waited: `status` says so, none of their tiles is
  // running. To be finished, at no cost.
  std::vector<std::shared_ptr<QueuedJob>> dropped;

  bool HasWork() const { return !group.empty() || large != nullptr; }
};

// The queue without threads or locks: which work is next, in which portions.
//
// Small jobs (IsSmall) wait in order of arrival and are taken in groups. Large jobs hand out their
// tiles one at a time, so that a small job never waits for more than a tile of each worker. Among
// large jobs the next tile comes from the one with the earliest arrival + cost: the shorter goes
// first, equals go in order of arrival, and nobody waits for ever, because later arrivals rank
// later whatever they cost. While small and large jobs wait, each kind gets half of the time
// (FairShare).
//
// Not thread-safe: Batcher holds its lock around every call.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchPolicyOptions& options) : options_(options) {}

  // RESOURCE_EXHAUSTED, and the job is as it was, where AdmitToQueue says so.
  absl::Status Push(std::shared_ptr<QueuedJob> job);

  // The next work. Counts a turn as busy where HasWork(). Expired and cancelled jobs that are met
  // on the way are dropped.
  Assignment Take(absl::Time now);

  // A tile that Take handed out has run until `end`. True where it was the job's last one, so that
  // the job must now be finished with its `status`.
  bool TileDone(QueuedJob& job, const absl::Status& status, absl::Time end);

  // A turn began outside the queue (a job on its arrival thread), or any turn ended.
  void TurnBegins() { ++summary_.busy; }
  void TurnEnds() { --summary_.busy; }

  bool HasWaiting() const { return summary_.requests() > 0; }
  bool TurnIsFree() const { return summary_.busy < options_.workers; }
  const QueueSummary& summary() const { return summary_; }

 private:
  void TakeGroup(absl::Time now, Assignment& assignment);
  void TakeTile(absl::Time now, Assignment& assignment);

  const BatchPolicyOptions options_;
  FairShare share_;
  std::deque<std::shared_ptr<QueuedJob>> small_;
  // Jobs with tiles left to take, by arrival + cost.
  std::multimap<absl::Time, std::shared_ptr<QueuedJob>> large_;
  QueueSummary summary_;
};

// OK, DEADLINE_EXCEEDED or CANCELLED: whether the job is still worth running.
absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_QUEUE_H_
