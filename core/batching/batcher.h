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

// Runs jobs on a pool of workers. Work that queued while they were busy is taken in groups (small
// jobs), tile by tile (large jobs) or in passes over what jobs share (jobs of a group). See
// BatchQueue. The batcher never waits for a batch to fill.
//
// Guarantees:
//  1. Finish is called exactly once for every submitted job.
//  2. At most options.workers groups or tiles run at a time, those on arrival threads included.
//     (Finish does not count. It may copy large results while other work goes on.)
//  3. While a worker is free nothing waits.
//  4. A job that is expired or cancelled when its turn comes runs no tile. No job finishes OK after
//     its deadline.
//
// Thread-safe. RunTile and Finish are called without the lock. IsCancelled may be called with it.
class Batcher {
 public:
  // Called for each group, pass or large job that has answers, with the number of its requests and
  // rows. The jobs are finished after it. Called from any thread, without the lock.
  using OnBatch = std::function<void(int64_t requests, int64_t rows)>;

  // INVALID_ARGUMENT: an option is out of range. RESOURCE_EXHAUSTED: the system gives no more
  // threads. `clock` must outlive the batcher.
  static absl::StatusOr<std::unique_ptr<Batcher>> Create(
      const BatchPolicyOptions& options, const Clock* clock,
      OnBatch on_batch = [](int64_t, int64_t) {});

  // Drains, then ends.
  ~Batcher();

  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Takes a job. The job may be finished before this returns: it was refused or expired, or was so
  // small that it ran on this thread.
  void Submit(std::unique_ptr<Job> job, const JobSpec& spec);

  // The cost of a job as work of its kind takes on this machine now.
  absl::Duration CorrectedCost(const JobSpec& spec) const;

  // Refuses jobs from now on (UNAVAILABLE). Accepted jobs go on.
  void RefuseNewJobs();

  // Refuses new jobs, and returns when all accepted ones are finished.
  void Drain();

  struct Stats {
    QueueSummary queue;
    int64_t in_flight = 0;          // accepted and not yet finished
    int64_t requests_answered = 0;  // requests answered with OK
    int64_t batches = 0;            // groups, passes and large jobs that answered requests
  };
  // A consistent snapshot.
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
  // Finishes a job. Returns true if it ended OK: with its own status, and before its deadline.
  bool Finish(QueuedJob& job);
  // A worker that sleeps until work waits and a slot is free, or until shutdown_.
  struct Sleeper {
    CondVar woken;
    bool is_woken = false;
  };
  // Blocks until WakeWorkers wakes this thread. The mutex is released meanwhile.
  void Sleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes as many workers as there are tiles and free slots.
  void WakeWorkers(int64_t tiles) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts a batch of `finished` jobs that have ended, `answered` of them with OK.
  void Count(int64_t finished, int64_t answered) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const BatchPolicyOptions options_;
  const Clock* const clock_;
  const OnBatch on_batch_;

  mutable Mutex mutex_;
  CondVar idle_;  // signalled when in_flight_ is 0
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  // Sleeping workers. The last one fell asleep last. WakeWorkers wakes the oldest of the last
  // `workers` of them. The last one probably still shares its CPU with the client that it answered.
  // Threads that are not needed never touch their stacks.
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
