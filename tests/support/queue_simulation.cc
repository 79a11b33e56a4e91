#include "tests/support/queue_simulation.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <utility>
#include <variant>

#include "base/limit_error.h"
#include "core/batching/batch_queue.h"
#include "tests/support/puppet_job.h"

namespace qkserve {
namespace {

class Simulator {
 public:
  explicit Simulator(const QueueSimulation& simulation)
      : simulation_(simulation), queue_(simulation.options) {
    result_.outcomes.resize(simulation.callers.size());
    for (size_t i = 0; i < simulation.callers.size(); ++i) ScheduleArrival(i);
  }

  QueueSimulation::Result Run() {
    const absl::Time end = QueueSimulation::kBegin + simulation_.duration;
    absl::Duration capacity;
    while (!events_.empty() && events_.begin()->first < end) {
      auto event = events_.extract(events_.begin());
      capacity += (event.key() - now_) * simulation_.options.workers / Slowness();
      now_ = event.key();
      event.mapped()();
      while (queue_.HasWaiting() && queue_.HasFreeSlot()) Work();
    }
    result_.goodput = absl::FDivDuration(good_, capacity);
    return std::move(result_);
  }

 private:
  double Slowness() const { return simulation_.slowness(now_ - QueueSimulation::kBegin); }

  void ScheduleArrival(size_t i) {
    const SimulatedCallers& callers = simulation_.callers[i];
    const double load = callers.load(now_ - QueueSimulation::kBegin);
    // If there is no load, the next look is after 10 ms.
    const absl::Duration gap =
        load <= 0 ? absl::Milliseconds(10)
                  : callers.cost / simulation_.options.workers / load * gap_(random_);
    events_.emplace(now_ + gap, [this, i, load] {
      if (load > 0) Arrive(i);
      ScheduleArrival(i);
    });
  }

  void Arrive(size_t i) {
    const SimulatedCallers& callers = simulation_.callers[i];
    SimulatedOutcome& outcome = result_.outcomes[i];
    auto job = std::make_shared<QueuedJob>();
    job->job = std::make_unique<PuppetJob>(strings_);
    job->arrival = now_;
    job->spec = {.tile_count = callers.tiles,
                 .cost = callers.cost,
                 .rows = static_cast<int64_t>(i),  // identifies the callers
                 .deadline = now_ + callers.timeout};
    if (callers.kind == WorkKind::kPass) {
      const uint64_t key_set = 1 + static_cast<uint64_t>(outcome.sent) % callers.key_sets;
      job->spec.group = GroupId{key_set};
      job->spec.family = FamilyId{key_set};
      job->spec.shared_cost = callers.shared_cost;
    }
    ++outcome.sent;
    const absl::Status status = queue_.Push(job, now_);
    result_.waiting_max = std::max(result_.waiting_max, queue_.summary().requests());
    if (status.ok()) return;
    ++outcome.refused[LimitOf(status)];
    outcome.retry_after.push_back(RetryAfterOf(status).value());
  }

  void Work() {
    const Assignment next = queue_.Take(now_);
    for (const auto& job : next.dropped) Drop(*job);
    if (const auto* small = std::get_if<SmallJobs>(&next.work)) {
      RunSmall(*small);
    } else if (const auto* pass = std::get_if<PassToMake>(&next.work)) {
      const size_t callers = pass->work->jobs.front()->spec.rows;
      pass->work->pass = std::make_unique<PuppetPass>(strings_, simulation_.callers[callers].tiles);
      queue_.PassMade(pass->work, now_);
      RunTile(pass->work);
    } else if (const auto* tile = std::get_if<TileToRun>(&next.work)) {
      RunTile(tile->work);
    }
  }

  // Runs `done` when work with the predicted time `predicted` has ended. `took` is the real time of
  // the work.
  void After(absl::Duration predicted, const std::function<void(absl::Duration took)>& done) {
    const double jitter = 0.67 + 0.66 * static_cast<double>(random_() % 1000) / 1000.0;
    const absl::Duration took = predicted * (Slowness() * jitter);
    events_.emplace(now_ + took, [done, took] { done(took); });
  }

  void RunTile(const std::shared_ptr<TiledWork>& work) {
    After(work->tile_cost, [this, work](absl::Duration took) {
      queue_.Learn(work->kind, work->tile_cost, took, now_);
      const bool is_last = queue_.TileDone(*work, absl::OkStatus(), now_);
      queue_.ReleaseSlot();
      if (!is_last) return;
      for (const auto& job : work->jobs) Finish(*job, work->started);
    });
  }

  void RunSmall(const SmallJobs& small) {
    After(small.cost, [this, small, started = now_](absl::Duration took) {
      queue_.Learn(WorkKind::kSmall, small.cost, took, now_);
      queue_.SmallJobsDone(small);
      queue_.ReleaseSlot();
      for (const auto& job : small.jobs) Finish(*job, started);
    });
  }

  void Finish(const QueuedJob& job, absl::Time started) {
    if (!job.status.ok()) return Drop(job);
    SimulatedOutcome& outcome = result_.outcomes[job.spec.rows];
    if (now_ > job.spec.deadline) {
      ++outcome.late;
      return;
    }
    ++outcome.in_time;
    outcome.responses.push_back(now_ - job.arrival);
    outcome.queued.push_back(started - job.arrival);
    outcome.answered.push_back(now_);
    good_ += job.queue_cost;
  }

  void Drop(const QueuedJob& job) {
    SimulatedOutcome& outcome = result_.outcomes[job.spec.rows];
    ++outcome.dropped[LimitOf(job.status)];
    outcome.drops.push_back(now_ - job.arrival);
    if (const auto after = RetryAfterOf(job.status)) outcome.retry_after.push_back(*after);
  }

  const QueueSimulation& simulation_;
  BatchQueue queue_;
  absl::Time now_ = QueueSimulation::kBegin;
  std::multimap<absl::Time, std::function<void()>> events_;
  std::shared_ptr<PuppetStrings> strings_ = std::make_shared<PuppetStrings>();
  std::mt19937 random_{1};
  std::exponential_distribution<double> gap_{1.0};
  QueueSimulation::Result result_;
  absl::Duration good_;
};

}  // namespace

int64_t SimulatedOutcome::Sum(const std::map<std::string, int64_t>& counts) {
  int64_t sum = 0;
  for (const auto& [limit, count] : counts) sum += count;
  return sum;
}

absl::Duration PercentileOf(std::vector<absl::Duration> sample, int percent) {
  if (sample.empty()) return absl::ZeroDuration();
  const size_t rank = std::min(sample.size() - 1, sample.size() * percent / 100);
  std::nth_element(sample.begin(), sample.begin() + rank, sample.end());
  return sample[rank];
}

QueueSimulation::Result QueueSimulation::Run() const { return Simulator(*this).Run(); }

}  // namespace qkserve
