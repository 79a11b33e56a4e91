#include "core/batching/batch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/limit_error.h"

namespace qkserve {
namespace {

// The lanes of jobs that have no group. Only their addresses matter; the lower goes first where
// both are due.
constexpr char kLanes[2] = {};
constexpr const void* kSmallLane = &kLanes[0];
constexpr const void* kLargeLane = &kLanes[1];

// Cost in the queue of the tiles that have not begun. The last tile takes what rounding leaves.
absl::Duration QueueCostLeft(const TiledWork& work) {
  return work.queue_cost - work.queue_cost / work.tile_count * work.tiles_taken;
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

bool BatchQueue::HasAmpleTime(const JobSpec& spec, absl::Duration cost, absl::Time now) const {
  // Those who estimate allow half as much again at most.
  constexpr int64_t kFactor = static_cast<int64_t>(CostRatio::kMax) * 3 / 2;
  return now + (running_cost_ + summary_.cost() + cost) * kFactor <= spec.deadline;
}

bool BatchQueue::IsTooLate(const QueuedJob& job, absl::Duration cost, absl::Time now) const {
  if (HasAmpleTime(job.spec, cost, now)) return false;
  const double ratio = RatioAt(KindOf(options_, job.spec), now);
  JobSpec spec = job.spec;
  spec.cost = cost * ratio;
  const absl::Duration others =
      OthersMeanwhile(LaneOf(job.spec), spec.cost, CorrectedSummary(now), ratio);
  return TooLateToBegin(options_, summary_, spec, others, now);
}

absl::Status BatchQueue::LateError(const QueuedJob& job, absl::Duration cost,
                                   absl::Time now) const {
  const absl::Duration corrected = cost * RatioAt(KindOf(options_, job.spec), now);
  return WithRetryAfter(
      LimitError("deadline", absl::StrCat("too much was queued to meet the deadline: after ",
                                          absl::FormatDuration(now - job.arrival), ", ",
                                          absl::FormatDuration(job.spec.deadline - now),
                                          " are left for work of ", absl::FormatDuration(corrected),
                                          " on one worker")),
      RetryAfter(options_, CorrectedSummary(now)));
}

absl::Status BatchQueue::CheckWorthBeginning(const QueuedJob& job, absl::Duration cost,
                                             absl::Time now) const {
  absl::Status status = CheckStillWanted(job, now);
  if (!status.ok() || !IsTooLate(job, cost, now)) return status;
  return LateError(job, cost, now);
}

absl::Status BatchQueue::CheckWorthGoingOn(const QueuedJob& job, const TiledWork& work,
                                           absl::Time now) const {
  absl::Status status = CheckStillWanted(job, now);
  const bool others_wait = summary_.requests() > static_cast<int64_t>(work.jobs.size());
  if (!status.ok() || !others_wait) return status;
  const absl::Duration remaining = work.tile_cost * (work.tile_count - work.tiles_taken);
  if (!TooLateToGoOn(options_, job.spec, remaining * RatioAt(work.kind, now), now)) return status;
  return LateError(job, remaining, now);
}

void BatchQueue::AddLargeCost(WorkKind kind, absl::Duration cost) {
  summary_.large_cost += cost;
  if (kind == WorkKind::kPass) pass_cost_ += cost;
}

QueueSummary BatchQueue::CorrectedSummary(absl::Time now) const {
  QueueSummary corrected = summary_;
  corrected.small_cost *= RatioAt(WorkKind::kSmall, now);
  corrected.large_cost = (summary_.large_cost - pass_cost_) * RatioAt(WorkKind::kTiled, now) +
                         pass_cost_ * RatioAt(WorkKind::kPass, now);
  return corrected;
}

absl::Duration BatchQueue::OthersMeanwhile(const void* lane_id, absl::Duration own,
                                           const QueueSummary& corrected, double ratio) const {
  const auto lane = lanes_.find(lane_id);
  const bool is_active = lane != lanes_.end();
  const absl::Duration in_lane = is_active ? lane->second.cost * ratio : absl::ZeroDuration();
  const auto lanes = static_cast<int64_t>(lanes_.size()) - (is_active ? 1 : 0);
  return std::min(corrected.cost() - in_lane, own * lanes);
}

absl::Duration BatchQueue::WorkAhead(const void* lane_id, absl::Time rank, absl::Duration own,
                                     const QueueSummary& corrected, double ratio) const {
  absl::Duration in_lane;
  absl::Duration behind;
  const auto lane = lanes_.find(lane_id);
  if (lane != lanes_.end()) {
    in_lane = lane->second.cost;
    // Few jobs rank behind a new one: only earlier, costlier jobs do. Beyond this many they count
    // as ahead, which only refuses more.
    int left = 64;
    const auto& ungrouped = lane->second.ungrouped;
    for (auto job = ungrouped.rbegin(); left > 0 && job != ungrouped.rend() && job->first > rank;
         ++job, --left) {
      behind += job->second->queue_cost;
    }
    const auto& tiled = lane->second.tiled;
    for (auto work = tiled.rbegin(); left > 0 && work != tiled.rend() && work->first > rank;
         ++work, --left) {
      behind += QueueCostLeft(*work->second);
    }
  }
  const absl::Duration ahead = (in_lane - behind) * ratio;
  return running_cost_ * ratio + ahead + OthersMeanwhile(lane_id, ahead + own, corrected, ratio);
}

absl::Status BatchQueue::Admit(const QueuedJob& job, absl::Duration own, const void* lane_id,
                               absl::Time now) const {
  if (summary_.requests() == 0) return absl::OkStatus();
  // The queue's bounds are in predicted time as it is: on a machine that is slow for the moment,
  // callers who are ready to wait are not refused.
  absl::Status status = AdmitToQueue(options_, summary_, job.spec);
  if (status.ok() && HasAmpleTime(job.spec, own, now)) return status;
  const double ratio = RatioAt(KindOf(options_, job.spec), now);
  const QueueSummary corrected = CorrectedSummary(now);
  if (status.ok()) {
    JobSpec spec = job.spec;
    spec.cost = own * ratio;
    const absl::Time rank = job.arrival + job.spec.cost;
    status = AdmitByDeadline(options_, corrected, spec,
                             WorkAhead(lane_id, rank, spec.cost, corrected, ratio), now);
  }
  return status.ok() ? status : WithRetryAfter(status, RetryAfter(options_, corrected));
}

const void* BatchQueue::LaneOf(const JobSpec& spec) const {
  // A job that costs more than a pass may shares it with no other. It has a lane beside that of its
  // key set, so that the set's other requests never wait for all of it.
  if (spec.group != nullptr) {
    return static_cast<const char*>(spec.lane) + (spec.cost > options_.pass_cost_max ? 1 : 0);
  }
  return IsSmall(options_, spec) ? kSmallLane : kLargeLane;
}

absl::Status BatchQueue::Push(std::shared_ptr<QueuedJob> job, absl::Time now) {
  const JobSpec& spec = job->spec;
  const void* const lane_id = LaneOf(spec);
  const auto found = lanes_.find(lane_id);
  // Work that it shares with one that waits already is counted there.
  const bool shares = found != lanes_.end() && !found->second.ungrouped.empty();
  const auto own = [&](absl::Duration cost) {
    return shares ? cost - std::min(spec.shared_cost, cost) : cost;
  };
  job->queue_cost = own(std::min(spec.cost, options_.queued_time_max * options_.workers / 2));
  absl::Status status = Admit(*job, own(spec.cost), lane_id, now);
  if (!status.ok()) return status;
  Lane& lane = lanes_[lane_id];
  lane.cost += job->queue_cost;
  const absl::Time rank = job->arrival + spec.cost;
  if (lane_id == kSmallLane) {
    ++summary_.small_requests;
    summary_.small_cost += job->queue_cost;
    lane.small.push_back(std::move(job));
  } else {
    ++summary_.large_requests;
    AddLargeCost(KindOf(options_, spec), job->queue_cost);
    if (spec.group != nullptr) {
      lane.ungrouped.emplace(rank, std::move(job));
    } else {
      auto work = std::make_shared<TiledWork>();
      work->lane = lane_id;
      work->rank = rank;
      work->tile_count = spec.tile_count;
      work->cost = spec.cost;
      work->tile_cost = spec.cost / std::max(spec.tile_count, int64_t{1});
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
    job->status = CheckWorthBeginning(*job, cost + next, now);
    --summary_.small_requests;
    summary_.small_cost -= job->queue_cost;
    lane.cost -= job->queue_cost;
    if (job->status.ok()) {
      cost += next;
      assignment.group.push_back(std::move(job));
    } else {
      assignment.dropped.push_back(std::move(job));
    }
  }
  assignment.group_cost = cost;
  running_cost_ += cost;
  share_.Charge(kSmallLane, cost);
}

void BatchQueue::TakePass(absl::Time now, Lane& lane, Assignment& assignment) {
  const auto first = lane.ungrouped.begin();
  const void* const group = first->second->spec.group;
  auto work = std::make_shared<TiledWork>();
  work->lane = LaneOf(first->second->spec);
  work->kind = WorkKind::kPass;
  work->rank = first->first;
  std::shared_ptr<QueuedJob> earliest;  // of the pass, by deadline
  const auto is_full = [&] {
    return static_cast<int64_t>(work->jobs.size()) >= options_.pass_requests_max ||
           static_cast<int64_t>(assignment.dropped.size()) >= options_.group_requests_max;
  };
  // Jobs that are looked at and left: a bound for the time under the lock.
  int skips_left = 256;
  for (auto next = first; next != lane.ungrouped.end() && !is_full() && skips_left > 0;) {
    const std::shared_ptr<QueuedJob> job = next->second;
    const bool is_first = work->jobs.empty();
    const absl::Duration cost = is_first ? job->spec.cost : job->spec.cost - job->spec.shared_cost;
    if (job->spec.group != group ||
        !JoinsPass(options_, static_cast<int64_t>(work->jobs.size()), work->cost, cost)) {
      ++next;
      --skips_left;
      continue;
    }
    job->status = CheckWorthBeginning(*job, cost, now);
    const bool is_earliest = is_first || job->spec.deadline < earliest->spec.deadline;
    // A job that would make the pass too late for one of its jobs waits for the next pass.
    if (job->status.ok() && !is_first &&
        IsTooLate(is_earliest ? *job : *earliest, work->cost + cost, now)) {
      ++next;
      --skips_left;
      continue;
    }
    next = lane.ungrouped.erase(next);
    lane.cost -= job->queue_cost;
    if (job->status.ok()) {
      if (is_earliest) earliest = job;
      work->cost += cost;
      work->queue_cost += job->queue_cost;
      work->jobs.push_back(job);
    } else {
      --summary_.large_requests;
      AddLargeCost(WorkKind::kPass, -job->queue_cost);
      assignment.dropped.push_back(job);
    }
  }
  if (work->jobs.empty()) return;
  assignment.work = std::move(work);
  assignment.tile = Assignment::kMakePass;
}

void BatchQueue::PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now) {
  work->tile_count = work->pass->tile_count();
  work->tile_cost = work->cost / work->tile_count;
  Lane* lane = nullptr;
  if (work->tile_count > 1) {
    lane = &lanes_[work->lane];
    lane->tiled.emplace(work->rank, work);
    lane->cost += work->queue_cost;
    share_.SetActive(work->lane, true);
  }
  StartTile(*work, lane, now);
}

void BatchQueue::PassFailed(const TiledWork& work) {
  summary_.large_requests -= static_cast<int64_t>(work.jobs.size());
  AddLargeCost(work.kind, -work.queue_cost);
}

void BatchQueue::TakeTile(absl::Time now, Lane& lane, Assignment& assignment) {
  const auto first = lane.tiled.begin();
  const std::shared_ptr<TiledWork> work = first->second;
  const auto check = [&](const QueuedJob& job) {
    if (!job.status.ok()) return job.status;
    return work->tiles_taken == 0 ? CheckWorthBeginning(job, work->cost, now)
                                  : CheckWorthGoingOn(job, *work, now);
  };
  // One is enough: where the work goes on for it, the others may still be answered in time.
  const bool is_wanted =
      std::any_of(work->jobs.begin(), work->jobs.end(),
                  [&](const std::shared_ptr<QueuedJob>& job) { return check(*job).ok(); });
  if (!is_wanted) {
    for (const std::shared_ptr<QueuedJob>& job : work->jobs) job->status = check(*job);
  }
  if (!is_wanted || !work->status.ok()) {
    lane.tiled.erase(first);
    LeaveQueue(*work, &lane);
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
  StartTile(*work, &lane, now);
}

void BatchQueue::StartTile(TiledWork& work, Lane* lane, absl::Time now) {
  if (work.tiles_taken == 0) work.started = now;
  share_.Charge(work.lane, work.tile_cost);
  running_cost_ += work.tile_cost;
  if (work.tiles_taken + 1 == work.tile_count) {
    LeaveQueue(work, lane);
  } else {
    AddLargeCost(work.kind, -(work.queue_cost / work.tile_count));
    if (lane != nullptr) lane->cost -= work.queue_cost / work.tile_count;
  }
  ++work.tiles_taken;
  ++work.tiles_running;
}

void BatchQueue::LeaveQueue(const TiledWork& work, Lane* lane) {
  const absl::Duration left = QueueCostLeft(work);
  AddLargeCost(work.kind, -left);
  if (lane != nullptr) lane->cost -= left;
  summary_.large_requests -= static_cast<int64_t>(work.jobs.size());
}

bool BatchQueue::TileDone(TiledWork& work, const absl::Status& status, absl::Time end) {
  work.ended = std::max(work.ended, end);
  work.status.Update(status);
  running_cost_ -= work.tile_cost;
  --work.tiles_running;
  return work.tiles_running == 0 && work.tiles_taken == work.tile_count;
}

}  // namespace qkserve
