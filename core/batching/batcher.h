#ifndef QKSERVE_CORE_BATCHING_BATCHER_H_
#define QKSERVE_CORE_BATCHING_BATCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "core/batching/batch_policy.h"
#include "core/batching/batch_queue.h"
#include "core/batching/job.h"

namespace qkserve {

// Runs jobs on a pool of workers. Work that waited while they were busy is taken in groups (small
// jobs), tile by tile (large jobs) or in passes (jobs with a GroupId). See BatchQueue. The batcher
// never waits for a batch to fill.
//
// Guarantees:
//  1. Finish is called exactly once for every submitted job.
//  2. At most options.workers tiles and groups of small jobs run at a time, including jobs on
//     arrival threads. (Finish does not count, because it may copy large results while other work
//     goes on.)
//  3. Nothing waits while a worker is free.
//  4. A job that is expired or cancelled when its turn comes runs no tile. No job finishes OK after
//     its deadline.
//
// Thread-safe. RunTile and Finish are called without the lock. IsCancelled may be called with the
// lock held.
class Batcher {
 public:
  // Called for each group, pass or large job that has answers, with the number of its requests and
  // rows. The jobs are finished after this call. Called from any thread, without the lock.
  using OnBatch = std::function<void(int64_t requests, int64_t rows)>;

  // INVALID_ARGUMENT: an option is out of range. RESOURCE_EXHAUSTED: the system gives no more
  // threads. `clock` must outlive the batcher.
  static absl::StatusOr<std::unique_ptr<Batcher>> Create(
      const BatchPolicyOptions& options, const Clock* clock,
      OnBatch on_batch = [](int64_t, int64_t) {});

  // Drains, then ends the workers.
  ~Batcher();

  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Takes a job. The job may be finished before Submit returns, because it is refused, has expired,
  // or is so small that it runs on this thread.
  void Submit(std::unique_ptr<Job> job, const JobSpec& spec);

  // Returns the cost of a job, corrected for the time that work of its kind takes on this machine
  // now.
  absl::Duration CorrectedCost(const JobSpec& spec) const;

  // Refuses jobs from now on (UNAVAILABLE). Accepted jobs go on.
  void RefuseNewJobs();

  // Refuses new jobs, and returns when all accepted jobs are finished.
  void Drain();

  struct Stats {
    QueueSummary queue;
    int64_t in_flight = 0;          // accepted and not yet finished
    int64_t requests_answered = 0;  // requests answered with OK
    int64_t batches = 0;            // groups, passes and large jobs that answered requests
  };
  // Returns a consistent snapshot.
  Stats GetStats() const;

 private:
  Batcher(const BatchPolicyOptions& options, const Clock* clock, OnBatch on_batch);

  void WorkerLoop();
  void Run(const Assignment& assignment);
  // Runs the jobs one after the other, then finishes them. `on_arrival` is true if this is the
  // thread that a job arrived on.
  void RunSmall(const SmallJobs& small, WorkKind kind, bool on_arrival);
  static absl::Status RunAlone(const QueuedJob& job);
  void RunPass(const std::shared_ptr<TiledWork>& work);
  void RunTile(const std::shared_ptr<TiledWork>& work, int64_t tile);
  void FinishTiled(TiledWork& work);
  // Finishes jobs that ran together. Returns how many ended OK.
  int64_t FinishBatch(const QueuedJobs& jobs, int64_t rows);
  // Finishes a job. Returns true if its status was OK and it was still wanted (CheckStillWanted).
  bool Finish(QueuedJob& job);
  // A worker that sleeps until work waits and a slot is free, or until shutdown_ is set.
  struct Sleeper {
    CondVar woken;
    bool is_woken = false;
  };
  // Blocks until WakeWorkers wakes this thread. The mutex is released meanwhile.
  void Sleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes one sleeping worker for each of `tiles` tiles, but at most one for each free slot.
  void WakeWorkers(int64_t tiles) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts a batch of `finished` jobs that have ended, `answered` of them with OK.
  void Count(int64_t finished, int64_t answered) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const BatchPolicyOptions options_;
  const Clock* const clock_;
  const OnBatch on_batch_;

  mutable Mutex mutex_;
  CondVar idle_;  // signalled when in_flight_ is 0
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  // The sleeping workers, in the order in which they fell asleep. Of the last `workers` of them,
  // WakeWorkers wakes the one that has slept longest. The last one is not woken first, because it
  // probably still shares its CPU with the client that it answered. Threads that are not needed are
  // never woken, so they never touch their stacks.
  std::vector<Sleeper*> sleepers_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool shutdown_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t requests_answered_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t batches_ ABSL_GUARDED_BY(mutex_) = 0;

  std::vector<std::thread> workers_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCHER_H_
