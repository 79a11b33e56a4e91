#include "core/batching/batch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// The lanes of jobs that have no group. Only their addresses matter; the lower goes first where
// both are due.
constexpr char kLanes[2] = {};
constexpr const void* kSmallLane = &kLanes[0];
constexpr const void* kLargeLane = &kLanes[1];

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

absl::Status BatchQueue::CheckWorthBeginning(const QueuedJob& job, absl::Time now) const {
  absl::Status status = CheckStillWanted(job, now);
  if (!status.ok() || !TooLateToBegin(options_, summary_, job.spec, now)) return status;
  return absl::DeadlineExceededError(absl::StrCat(
      "after ", absl::FormatDuration(now - job.arrival), " in the queue ",
      absl::FormatDuration(job.spec.deadline - now), " were left, too little for work of ",
      absl::FormatDuration(job.spec.cost), " on one worker"));
}

const void* BatchQueue::LaneOf(const JobSpec& spec) const {
  // What costs more than a pass may shares it with nobody. It is in a lane beside that of its key
  // set, so that the set's other requests never wait for all of it.
  if (spec.group != nullptr) {
    return static_cast<const char*>(spec.lane) + (spec.cost > options_.pass_cost_max ? 1 : 0);
  }
  return IsSmall(options_, spec) ? kSmallLane : kLargeLane;
}

absl::Status BatchQueue::Push(std::shared_ptr<QueuedJob> job) {
  absl::Status status = AdmitToQueue(options_, summary_, job->spec);
  if (!status.ok()) return status;
  const JobSpec& spec = job->spec;
  const void* const lane_id = LaneOf(spec);
  Lane& lane = lanes_[lane_id];
  job->queue_cost = std::min(spec.cost, options_.queued_time_max * options_.workers / 2);
  // What it shares with one that waits already is counted there.
  if (!lane.ungrouped.empty()) job->queue_cost -= std::min(spec.shared_cost, job->queue_cost);
  const absl::Time rank = job->arrival + spec.cost;
  if (lane_id == kSmallLane) {
    ++summary_.small_requests;
    summary_.small_cost += job->queue_cost;
    lane.small.push_back(std::move(job));
  } else {
    ++summary_.large_requests;
    summary_.large_cost += job->queue_cost;
    if (spec.group != nullptr) {
      lane.ungrouped.emplace(rank, std::move(job));
    } else {
      auto work = std::make_shared<TiledWork>();
      work->lane = lane_id;
      work->rank = rank;
      work->tile_count = spec.tile_count;
      work->cost = spec.cost;
      work->queue_cost = job->queue_cost;
      work->jobs.push_back(std::move(job));
      lane.tiled.emplace(rank, std::move(work));
    }
  }
  share_.SetActive(lane_id, true);
  return absl::OkStatus();
}

Assignment BatchQueue::Take(absl::Time now) {
  Assignment assignment;
  while (!assignment.HasWork() && HasWaiting() &&
         static_cast<int64_t>(assignment.dropped.size()) < options_.group_requests_max) {
    const void* const lane_id = share_.Choose();
    const auto entry = lanes_.find(lane_id);
    Lane& lane = entry->second;
    if (!lane.small.empty()) {
      TakeGroup(now, lane, assignment);
    } else if (lane.tiled.empty() || (!lane.ungrouped.empty() &&
                                      lane.ungrouped.begin()->first < lane.tiled.begin()->first)) {
      TakePass(now, lane, assignment);
    } else {
      TakeTile(now, lane, assignment);
    }
    if (lane.IsEmpty()) {
      lanes_.erase(entry);
      share_.SetActive(lane_id, false);
    }
  }
  if (assignment.HasWork()) TurnBegins();
  return assignment;
}

void BatchQueue::TakeGroup(absl::Time now, Lane& lane, Assignment& assignment) {
  const absl::Duration cost_max = GroupCost(options_, summary_);
  absl::Duration cost;
  const auto taken = [&assignment] {
    return static_cast<int64_t>(assignment.group.size() + assignment.dropped.size());
  };
  while (!lane.small.empty() && taken() < options_.group_requests_max) {
    const absl::Duration next = lane.small.front()->spec.cost;
    if (!assignment.group.empty() && cost + next > cost_max) break;
    std::shared_ptr<QueuedJob> job = std::move(lane.small.front());
    lane.small.pop_front();
    job->status = CheckWorthBeginning(*job, now);
    --summary_.small_requests;
    summary_.small_cost -= job->queue_cost;
    if (job->status.ok()) {
      cost += next;
      assignment.group.push_back(std::move(job));
    } else {
      assignment.dropped.push_back(std::move(job));
    }
  }
  share_.Charge(kSmallLane, cost);
}

void BatchQueue::TakePass(absl::Time now, Lane& lane, Assignment& assignment) {
  const auto first = lane.ungrouped.begin();
  const void* const group = first->second->spec.group;
  auto work = std::make_shared<TiledWork>();
  work->lane = LaneOf(first->second->spec);
  work->rank = first->first;
  for (auto next = first; next != lane.ungrouped.end() &&
                          static_cast<int64_t>(work->jobs.size()) < options_.pass_requests_max;) {
    const std::shared_ptr<QueuedJob> job = next->second;
    const bool is_first = work->jobs.empty();
    const absl::Duration cost = is_first ? job->spec.cost : job->spec.cost - job->spec.shared_cost;
    if (job->spec.group != group ||
        !JoinsPass(options_, static_cast<int64_t>(work->jobs.size()), work->cost, cost)) {
      ++next;
      continue;
    }
    next = lane.ungrouped.erase(next);
    job->status = CheckWorthBeginning(*job, now);
    if (job->status.ok()) {
      work->cost += cost;
      work->queue_cost += job->queue_cost;
      work->jobs.push_back(job);
    } else {
      --summary_.large_requests;
      summary_.large_cost -= job->queue_cost;
      assignment.dropped.push_back(job);
    }
  }
  if (work->jobs.empty()) return;
  assignment.work = std::move(work);
  assignment.tile = Assignment::kMakePass;
}

void BatchQueue::PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now) {
  work->tile_count = work->pass->tile_count();
  if (work->tile_count > 1) {
    lanes_[work->lane].tiled.emplace(work->rank, work);
    share_.SetActive(work->lane, true);
  }
  StartTile(*work, now);
}

void BatchQueue::PassFailed(const TiledWork& work) {
  summary_.large_requests -= static_cast<int64_t>(work.jobs.size());
  summary_.large_cost -= work.queue_cost;
}

void BatchQueue::TakeTile(absl::Time now, Lane& lane, Assignment& assignment) {
  const auto first = lane.tiled.begin();
  const std::shared_ptr<TiledWork> work = first->second;
  bool is_wanted = false;
  // One is enough: the others' status is looked at when they are finished.
  for (const std::shared_ptr<QueuedJob>& job : work->jobs) {
    if (job->status.ok()) {
      job->status =
          work->tiles_taken == 0 ? CheckWorthBeginning(*job, now) : CheckStillWanted(*job, now);
    }
    is_wanted = job->status.ok();
    if (is_wanted) break;
  }
  if (!is_wanted || !work->status.ok()) {
    lane.tiled.erase(first);
    LeaveQueue(*work);
    work->tile_count = work->tiles_taken;
    // Otherwise the last of its running tiles finishes the jobs.
    if (work->tiles_running == 0) {
      for (const std::shared_ptr<QueuedJob>& job : work->jobs) job->status.Update(work->status);
      assignment.dropped.insert(assignment.dropped.end(), work->jobs.begin(), work->jobs.end());
    }
    return;
  }
  assignment.work = work;
  assignment.tile = work->tiles_taken;
  if (work->tiles_taken + 1 == work->tile_count) lane.tiled.erase(first);
  StartTile(*work, now);
}

void BatchQueue::StartTile(TiledWork& work, absl::Time now) {
  if (work.tiles_taken == 0) work.started = now;
  share_.Charge(work.lane, work.cost / work.tile_count);
  if (work.tiles_taken + 1 == work.tile_count) {
    LeaveQueue(work);
  } else {
    summary_.large_cost -= work.queue_cost / work.tile_count;
  }
  ++work.tiles_taken;
  ++work.tiles_running;
}

// What is left of its cost goes with the last tile, so that rounding does not add up.
void BatchQueue::LeaveQueue(const TiledWork& work) {
  summary_.large_cost -= work.queue_cost - work.queue_cost / work.tile_count * work.tiles_taken;
  summary_.large_requests -= static_cast<int64_t>(work.jobs.size());
}

bool BatchQueue::TileDone(TiledWork& work, const absl::Status& status, absl::Time end) {
  work.ended = std::max(work.ended, end);
  work.status.Update(status);
  --work.tiles_running;
  return work.tiles_running == 0 && work.tiles_taken == work.tile_count;
}

}  // namespace qkserve
