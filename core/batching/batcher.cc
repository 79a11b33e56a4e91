#include "core/batching/batcher.h"

#include <algorithm>
#include <cstddef>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace qkserve {

absl::StatusOr<std::unique_ptr<Batcher>> Batcher::Create(const BatchPolicyOptions& options,
                                                         const Clock* clock, OnBatch on_batch) {
  RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<Batcher> batcher(new Batcher(options, clock, std::move(on_batch)));
  const int64_t threads = options.threads > 0 ? options.threads : options.workers;
  std::vector<std::thread>& workers = batcher->workers_;
  workers.reserve(static_cast<size_t>(threads));
  try {
    for (int64_t i = 0; i < threads; ++i) {
      workers.emplace_back([worker = batcher.get()] { worker->WorkerLoop(); });
    }
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start worker ", workers.size() + 1,
                                                     " of ", threads, ": ", error.what()));
  }
  return batcher;
}

Batcher::Batcher(const BatchPolicyOptions& options, const Clock* clock, OnBatch on_batch)
    : options_(options), clock_(clock), on_batch_(std::move(on_batch)), queue_(options) {}

Batcher::~Batcher() {
  Drain();
  {
    MutexLock lock(&mutex_);
    shutdown_ = true;
    for (Sleeper* sleeper : sleepers_) {
      sleeper->is_woken = true;
      sleeper->woken.NotifyOne();
    }
    sleepers_.clear();
  }
  for (std::thread& worker : workers_) worker.join();
}

void Batcher::Submit(std::unique_ptr<Job> job, const JobSpec& spec) {
  auto queued = std::make_shared<QueuedJob>();
  queued->job = std::move(job);
  queued->spec = spec;
  queued->receipt = {.batch_requests = 1, .batch_rows = spec.rows};
  const absl::Time now = clock_->Now();
  queued->arrival = spec.arrival == absl::InfinitePast() ? now : spec.arrival;
  absl::Status& status = queued->status;
  status = CheckStillWanted(*queued, now);
  bool run_here = false;
  if (status.ok()) {
    MutexLock lock(&mutex_);
    if (draining_) {
      status = absl::UnavailableError("the server is draining");
    } else if (RunsOnArrival(options_, queue_.summary(), spec)) {
      run_here = true;
      queue_.AcquireSlot();
    } else {
      status = queue_.Push(queued, now);
    }
    if (status.ok()) ++in_flight_;
    if (status.ok() && !run_here) {
      WakeWorkers(std::max(spec.tile_count, int64_t{1}));
      return;
    }
  }
  if (run_here) {
    RunSmall({.jobs = {std::move(queued)}}, KindOf(options_, spec), /*on_arrival=*/true);
  } else {
    Finish(*queued);
  }
}

void Batcher::WakeWorkers(int64_t tiles) {
  const int64_t slots = options_.workers - queue_.summary().busy;
  for (int64_t left = std::min(tiles, slots); left > 0 && !sleepers_.empty(); --left) {
    const auto warm = std::min(sleepers_.size(), static_cast<size_t>(options_.workers));
    const auto next = sleepers_.end() - static_cast<std::ptrdiff_t>(warm);
    (*next)->is_woken = true;
    (*next)->woken.NotifyOne();
    sleepers_.erase(next);
  }
}

void Batcher::Sleep() {
  Sleeper me;
  sleepers_.push_back(&me);
  while (!me.is_woken) me.woken.Wait(&mutex_);
}

void Batcher::Count(int64_t finished, int64_t answered) {
  in_flight_ -= finished;
  requests_answered_ += answered;
  if (answered > 0) ++batches_;
  if (in_flight_ == 0) idle_.NotifyAll();
}

void Batcher::WorkerLoop() {
  mutex_.Lock();
  while (true) {
    while (!shutdown_ && !(queue_.HasWaiting() && queue_.HasFreeSlot())) Sleep();
    if (shutdown_) break;
    const Assignment assignment = queue_.Take(clock_->Now());
    // The last wake-up may have reached a worker that was not needed. So this worker wakes another
    // one for the work that is left.
    if (queue_.HasWaiting() && queue_.HasFreeSlot()) WakeWorkers(1);
    mutex_.Unlock();
    Run(assignment);
    mutex_.Lock();
  }
  mutex_.Unlock();
}

void Batcher::Run(const Assignment& assignment) {
  // Dropped jobs are finished first, because an early refusal is worth most.
  for (const auto& job : assignment.dropped) Finish(*job);
  if (!assignment.dropped.empty()) {
    MutexLock lock(&mutex_);
    Count(static_cast<int64_t>(assignment.dropped.size()), 0);
  }
  if (const auto* small = std::get_if<SmallJobs>(&assignment.work)) {
    RunSmall(*small, WorkKind::kSmall, /*on_arrival=*/false);
  } else if (const auto* pass = std::get_if<PassToMake>(&assignment.work)) {
    RunPass(pass->work);
  } else if (const auto* tile = std::get_if<TileToRun>(&assignment.work)) {
    RunTile(tile->work, tile->tile);
  }
}

void Batcher::RunPass(const std::shared_ptr<TiledWork>& work) {
  std::vector<const PassRequest*> requests;
  requests.reserve(work->jobs.size());
  for (const auto& job : work->jobs) requests.push_back(job->job->pass_request());
  absl::StatusOr<std::unique_ptr<Pass>> pass = work->jobs.front()->job->MakePass(requests);
  if (!pass.ok()) {
    {
      MutexLock lock(&mutex_);
      queue_.PassFailed(*work);
      queue_.ReleaseSlot();
      if (queue_.HasWaiting()) WakeWorkers(1);
    }
    work->status = pass.status();
    work->started = work->ended = clock_->Now();
    FinishTiled(*work);
    return;
  }
  work->pass = *std::move(pass);
  {
    MutexLock lock(&mutex_);
    queue_.PassMade(work, clock_->Now());
    if (work->tile_count > 1) WakeWorkers(work->tile_count - 1);
  }
  RunTile(work, 0);
}

absl::Status Batcher::RunAlone(const QueuedJob& job) {
  if (job.spec.group == GroupId::kNone) {
    return job.spec.tile_count > 0 ? job.job->RunTile(0) : absl::OkStatus();
  }
  const PassRequest* const requests[] = {job.job->pass_request()};
  ASSIGN_OR_RETURN(const std::unique_ptr<Pass> pass, job.job->MakePass(requests));
  for (int64_t tile = 0; tile < pass->tile_count(); ++tile) RETURN_IF_ERROR(pass->RunTile(tile));
  return absl::OkStatus();
}

void Batcher::RunSmall(const SmallJobs& small, WorkKind kind, bool on_arrival) {
  const QueuedJobs& jobs = small.jobs;
  int64_t rows = 0;
  absl::Duration predicted, measured;  // sums over the jobs that ran
  absl::Time now = clock_->Now();
  for (const auto& job : jobs) {
    // The job is checked again, because the jobs before it in the group have taken time.
    job->status = CheckStillWanted(*job, now);
    if (!job->status.ok()) continue;
    rows += job->spec.rows;
    job->receipt.queued = now - job->arrival;
    job->status = RunAlone(*job);
    const absl::Time end = clock_->Now();
    job->receipt.computed = job->receipt.worker_time = end - now;
    if (job->status.ok()) {
      predicted += job->spec.cost;
      measured += end - now;
    }
    now = end;
  }
  const int64_t answered = FinishBatch(jobs, rows);
  MutexLock lock(&mutex_);
  queue_.Learn(kind, predicted, measured, now);
  queue_.SmallJobsDone(small);
  Count(static_cast<int64_t>(jobs.size()), answered);
  queue_.ReleaseSlot();
  // A worker takes the next work itself. An arrival thread wakes a worker for it.
  if (on_arrival && queue_.HasWaiting()) WakeWorkers(1);
}

int64_t Batcher::FinishBatch(const QueuedJobs& jobs, int64_t rows) {
  const auto requests = static_cast<int64_t>(jobs.size());
  const bool has_answers =
      std::any_of(jobs.begin(), jobs.end(), [](const auto& job) { return job->status.ok(); });
  if (has_answers) on_batch_(requests, rows);
  int64_t answered = 0;
  for (const auto& job : jobs) {
    job->receipt.batch_requests = requests;
    job->receipt.batch_rows = rows;
    if (Finish(*job)) ++answered;
  }
  return answered;
}

void Batcher::RunTile(const std::shared_ptr<TiledWork>& work, int64_t tile) {
  const absl::Time begin = clock_->Now();
  const absl::Status status =
      work->pass != nullptr ? work->pass->RunTile(tile) : work->jobs.front()->job->RunTile(tile);
  const absl::Time end = clock_->Now();
  bool is_last = false;
  {
    MutexLock lock(&mutex_);
    if (status.ok()) queue_.Learn(work->kind, work->tile_cost, end - begin, end);
    work->worker_time += end - begin;
    is_last = queue_.TileDone(*work, status, end);
    queue_.ReleaseSlot();
    // This thread is not free yet, because it has answers to give.
    if (is_last && queue_.HasWaiting()) WakeWorkers(1);
  }
  // After the last tile no other thread has this work.
  if (is_last) FinishTiled(*work);
}

void Batcher::FinishTiled(TiledWork& work) {
  work.pass.reset();
  WriteReceipts(work);
  int64_t rows = 0;
  for (const auto& job : work.jobs) {
    rows += job->spec.rows;
    job->status.Update(work.status);
  }
  const int64_t answered = FinishBatch(work.jobs, rows);
  MutexLock lock(&mutex_);
  Count(static_cast<int64_t>(work.jobs.size()), answered);
}

bool Batcher::Finish(QueuedJob& job) {
  absl::Status final_status = job.status;
  if (final_status.ok()) final_status = CheckStillWanted(job, clock_->Now());
  job.job->Finish(final_status, job.receipt);
  // The job is destroyed here, because no lock is held and Drain still waits. A job may own much
  // memory.
  job.job.reset();
  return final_status.ok();
}

absl::Duration Batcher::CorrectedCost(const JobSpec& spec) const {
  MutexLock lock(&mutex_);
  return queue_.CorrectedCost(spec, clock_->Now());
}

void Batcher::RefuseNewJobs() {
  MutexLock lock(&mutex_);
  draining_ = true;
}

void Batcher::Drain() {
  RefuseNewJobs();
  MutexLock lock(&mutex_);
  while (in_flight_ > 0) idle_.Wait(&mutex_);
}

Batcher::Stats Batcher::GetStats() const {
  MutexLock lock(&mutex_);
  return {.queue = queue_.summary(),
          .in_flight = in_flight_,
          .requests_answered = requests_answered_,
          .batches = batches_};
}

}  // namespace qkserve
