#include "core/batching/batch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

absl::Duration TileCost(const QueuedJob& job) {
  return job.spec.cost / std::max<int64_t>(job.spec.tile_count, 1);
}

// Its part of the queue's predicted time.
absl::Duration QueuedTileCost(const QueuedJob& job) {
  return job.queue_cost / std::max<int64_t>(job.spec.tile_count, 1);
}

}  // namespace

absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now) {
  // The deadline first: gRPC cancels a call when its deadline passes.
  if (now >= job.spec.deadline) {
    return absl::DeadlineExceededError(absl::StrCat("the deadline passed ",
                                                    absl::FormatDuration(now - job.arrival),
                                                    " after the request arrived"));
  }
  if (job.job->IsCancelled()) return absl::CancelledError("the caller cancelled the request");
  return absl::OkStatus();
}

absl::Status BatchQueue::Push(std::shared_ptr<QueuedJob> job) {
  absl::Status status = AdmitToQueue(options_, summary_, job->spec);
  if (!status.ok()) return status;
  job->queue_cost = std::min(job->spec.cost, options_.queued_time_max * options_.workers / 2);
  if (IsSmall(options_, job->spec)) {
    ++summary_.small_requests;
    summary_.small_cost += job->spec.cost;
    small_.push_back(std::move(job));
  } else {
    ++summary_.large_requests;
    summary_.large_cost += job->queue_cost;
    const absl::Time rank = job->arrival + job->spec.cost;
    large_.emplace(rank, std::move(job));
  }
  return absl::OkStatus();
}

Assignment BatchQueue::Take(absl::Time now) {
  Assignment assignment;
  while (!assignment.HasWork() && HasWaiting() &&
         static_cast<int64_t>(assignment.dropped.size()) < options_.group_requests_max) {
    const Lane lane = share_.Choose(!small_.empty(), !large_.empty());
    if (lane == Lane::kSmall) {
      TakeGroup(now, assignment);
    } else {
      TakeTile(now, assignment);
    }
  }
  if (assignment.HasWork()) TurnBegins();
  return assignment;
}

void BatchQueue::TakeGroup(absl::Time now, Assignment& assignment) {
  const absl::Duration cost_max = GroupCost(options_, summary_);
  absl::Duration cost;
  const auto taken = [&assignment] {
    return static_cast<int64_t>(assignment.group.size() + assignment.dropped.size());
  };
  while (!small_.empty() && taken() < options_.group_requests_max) {
    const absl::Duration next = small_.front()->spec.cost;
    if (!assignment.group.empty() && cost + next > cost_max) break;
    std::shared_ptr<QueuedJob> job = std::move(small_.front());
    small_.pop_front();
    --summary_.small_requests;
    summary_.small_cost -= next;
    job->status = CheckStillWanted(*job, now);
    if (job->status.ok()) {
      cost += next;
      assignment.group.push_back(std::move(job));
    } else {
      assignment.dropped.push_back(std::move(job));
    }
  }
  share_.Charge(Lane::kSmall, cost);
}

void BatchQueue::TakeTile(absl::Time now, Assignment& assignment) {
  const auto first = large_.begin();
  const std::shared_ptr<QueuedJob> job = first->second;
  const auto leave_queue = [&] {
    summary_.large_cost -= QueuedTileCost(*job) * (job->spec.tile_count - job->tiles_taken);
    --summary_.large_requests;
    large_.erase(first);
    // Costs of tiles are rounded; what that leaves must not add up.
    if (large_.empty()) summary_.large_cost = absl::ZeroDuration();
  };
  if (job->status.ok()) job->status = CheckStillWanted(*job, now);
  if (!job->status.ok()) {
    leave_queue();
    job->spec.tile_count = job->tiles_taken;
    // Otherwise the last of its running tiles finishes it.
    if (job->tiles_running == 0) assignment.dropped.push_back(job);
    return;
  }
  if (job->tiles_taken == 0) job->started = now;
  assignment.large = job;
  assignment.tile = job->tiles_taken++;
  ++job->tiles_running;
  summary_.large_cost -= QueuedTileCost(*job);
  share_.Charge(Lane::kLarge, TileCost(*job));
  if (job->tiles_taken == job->spec.tile_count) leave_queue();
}

bool BatchQueue::TileDone(QueuedJob& job, const absl::Status& status, absl::Time end) {
  job.ended = std::max(job.ended, end);
  job.status.Update(status);
  --job.tiles_running;
  return job.tiles_running == 0 && job.tiles_taken == job.spec.tile_count;
}

}  // namespace qkserve
