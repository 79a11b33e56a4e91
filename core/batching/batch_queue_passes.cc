// The part of BatchQueue that gathers jobs for a pass.

#include <algorithm>
#include <utility>

#include "core/batching/batch_queue.h"

namespace qkserve {

void BatchQueue::TakePass(absl::Time now, const LaneId& lane_id, Assignment& assignment) {
  const auto first = lanes_.at(lane_id).ungrouped.begin();
  JoiningJobs joining = {.work = std::make_shared<TiledWork>(),
                         .group = first->second->spec.group,
                         .earliest = nullptr};
  TiledWork& work = *joining.work;
  work.lane = lane_id;
  work.kind = WorkKind::kPass;
  work.rank = first->first;
  Join(now, lane_id, joining, assignment);
  if (work.jobs.empty()) return;
  if (lane_id.kind == LaneId::Kind::kPass) JoinFromOthers(now, joining, assignment);
  ChargeJoined(now, work);
  assignment.work = PassToMake{std::move(joining.work)};
}

void BatchQueue::JoinFromOthers(absl::Time now, JoiningJobs& joining, Assignment& assignment) {
  const LaneId mine = joining.work->lane;
  const std::pair<FamilyId, LaneId> begin = {mine.family, LaneId{}};
  const auto is_family = [&](const auto& next) {
    return next != joinable_.end() && next->first == mine.family;
  };
  // Lanes after `mine` are visited first, then the lanes before `mine`. So passes of different
  // tenants take the jobs of different tenants first.
  LaneId last = mine;
  bool is_around = false;
  while (joining.skips_left > 0) {
    auto next = joinable_.upper_bound({mine.family, last});
    if (!is_family(next) && !is_around) {
      is_around = true;
      next = joinable_.lower_bound(begin);
    }
    if (!is_family(next) || (is_around && !(next->second < mine))) return;
    last = next->second;
    --joining.skips_left;
    if (last.priority <= mine.priority) Join(now, last, joining, assignment);
  }
}

void BatchQueue::Join(absl::Time now, const LaneId& lane_id, JoiningJobs& joining,
                      Assignment& assignment) {
  Lane& lane = lanes_.at(lane_id);
  TiledWork& work = *joining.work;
  const auto is_full = [&] {
    return static_cast<int64_t>(work.jobs.size()) >= options_.pass_requests_max ||
           static_cast<int64_t>(assignment.dropped.size()) >= options_.group_requests_max;
  };
  auto next = lane.ungrouped.begin();
  while (next != lane.ungrouped.end() && !is_full() && joining.skips_left > 0) {
    const std::shared_ptr<QueuedJob> job = next->second;
    const bool is_first = work.jobs.empty();
    const absl::Duration cost = is_first ? job->spec.cost : job->spec.cost - job->spec.shared_cost;
    const bool is_earliest = is_first || job->spec.deadline < joining.earliest->spec.deadline;
    bool joins = job->spec.group == joining.group &&
                 JoinsPass(options_, static_cast<int64_t>(work.jobs.size()), work.cost, cost);
    if (joins) {
      job->status = CheckWorthBeginning(*job, cost, now);
      // A job that would make a job of the pass too late waits for the next pass.
      joins = !job->status.ok() || is_first ||
              !IsTooLate(is_earliest ? *job : *joining.earliest, work.cost + cost, now);
    }
    if (!joins) {
      ++next;
      --joining.skips_left;
      continue;
    }
    lane.cost.Add(next->first, -job->queue_cost);
    next = lane.ungrouped.erase(next);
    AddToSummary(lane_id, WorkKind::kPass, job->status.ok() ? 0 : -1, -job->queue_cost);
    if (job->status.ok()) {
      // From here on, the job's cost is part of the pass and counts for the tenant that began the
      // pass.
      AddToSummary(work.lane, WorkKind::kPass, 0, job->queue_cost);
      NoteTurn(*job, now, lane);
      if (is_earliest) joining.earliest = job;
      work.cost += cost;
      work.queue_cost += job->queue_cost;
      work.jobs.push_back(job);
    } else {
      assignment.dropped.push_back(job);
    }
  }
  if (lane.ungrouped.empty()) joinable_.erase({lane_id.family, lane_id});
  RemoveIfEmpty(lane_id);
}

void BatchQueue::ChargeJoined(absl::Time now, TiledWork& work) {
  const auto requests = static_cast<int64_t>(work.jobs.size());
  for (const auto& job : work.jobs) {
    const absl::Duration part = CostInPass(job->spec, requests);
    const LaneId lane_id = LaneOf(job->spec);
    if (lane_id == work.lane) {
      work.charged_cost += part;
    } else {
      share_.Charge(lane_id, part * RatioAt(work.kind, now));
    }
  }
}

void BatchQueue::PassMade(const std::shared_ptr<TiledWork>& work, absl::Time now) {
  work->tile_count = work->pass->tile_count();
  work->tile_cost = work->OfOneTile(work->cost);
  Lane* lane = nullptr;
  if (work->tile_count > 1) {
    lane = &LaneWithWork(work->lane, now);
    lane->tiled.emplace(work->rank, work);
    lane->cost.Add(work->rank, work->queue_cost);
  }
  StartTile(*work, lane, now);
}

void BatchQueue::PassFailed(const TiledWork& work) {
  AddToSummary(work.lane, work.kind, 0, -work.queue_cost);
  RemoveRequests(work);
}

}  // namespace qkserve
