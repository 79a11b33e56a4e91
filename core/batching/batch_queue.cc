#include "core/batching/batch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limit_error.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// Returns the part of queue_cost that belongs to the tiles that have not begun. The last tile takes
// what rounding leaves.
absl::Duration QueueCostLeft(const TiledWork& work) {
  if (work.tiles_taken == 0) return work.queue_cost;
  return work.queue_cost - work.OfOneTile(work.queue_cost) * work.tiles_taken;
}

}  // namespace

absl::Status CheckStillWanted(const QueuedJob& job, absl::Time now) {
  // The deadline is checked first, because gRPC cancels a call when its deadline passes.
  if (now >= job.spec.deadline) {
    return absl::DeadlineExceededError(absl::StrCat("the deadline passed ",
                                                    absl::FormatDuration(now - job.arrival),
                                                    " after the request arrived"));
  }
  if (job.job->IsCancelled()) return absl::CancelledError("the caller cancelled the request");
  return absl::OkStatus();
}

void WriteReceipts(const TiledWork& work) {
  const auto jobs = static_cast<int64_t>(work.jobs.size());
  absl::Duration cost;
  for (const auto& job : work.jobs) cost += CostInPass(job->spec, jobs);
  for (const auto& job : work.jobs) {
    JobReceipt& receipt = job->receipt;
    receipt.queued = work.started - job->arrival;
    receipt.computed = work.ended - work.started;
    if (cost > absl::ZeroDuration()) {
      receipt.worker_time =
          work.worker_time * absl::FDivDuration(CostInPass(job->spec, jobs), cost);
    }
  }
}

bool BatchQueue::HasAmpleTime(const QueuedJob& job, absl::Duration cost, absl::Time now) const {
  constexpr int64_t kFactor = static_cast<int64_t>(CostRatio::kMax) * kReserveFactorMax;
  return now + (running_cost_ + summary_.cost() + cost) * kFactor <=
         DueOf(options_, job.spec, job.arrival);
}

bool BatchQueue::IsTooLate(const QueuedJob& job, absl::Duration cost, absl::Time now) const {
  if (HasAmpleTime(job, cost, now)) return false;
  const double ratio = RatioAt(KindOf(options_, job.spec), now);
  JobSpec spec = job.spec;
  spec.cost = cost * ratio;
  const absl::Duration others =
      OthersMeanwhile(LaneOf(job.spec), spec.cost, CorrectedSummary(now), ratio);
  return TooLateToBegin(options_, summary_, spec, others, now);
}

absl::Status BatchQueue::Refused(const absl::Status& status, absl::Time now) const {
  return WithRetryAfter(status, RetryAfter(options_, CorrectedSummary(now), refusals_++));
}

absl::Status BatchQueue::LateError(const QueuedJob& job, absl::Duration cost,
                                   absl::Time now) const {
  const absl::Duration corrected = cost * RatioAt(KindOf(options_, job.spec), now);
  return Refused(
      LimitError("deadline", absl::StrCat("too much was queued to meet the deadline: after ",
                                          absl::FormatDuration(now - job.arrival), ", ",
                                          absl::FormatDuration(job.spec.deadline - now),
                                          " are left for work of ", absl::FormatDuration(corrected),
                                          " on one worker")),
      now);
}

absl::Status BatchQueue::CheckWorthBeginning(const QueuedJob& job, absl::Duration cost,
                                             absl::Time now) const {
  RETURN_IF_ERROR(CheckStillWanted(job, now));
  if (WaitedTooLong(options_, summary_, job.arrival, now)) {
    return Refused(
        LimitError("queue_time_max",
                   absl::StrCat("too much was queued: the request has waited for ",
                                absl::FormatDuration(now - job.arrival), ", the limit is ",
                                absl::FormatDuration(options_.queued_time_max))),
        now);
  }
  return IsTooLate(job, cost, now) ? LateError(job, cost, now) : absl::OkStatus();
}

absl::Status BatchQueue::CheckWorthContinuing(const QueuedJob& job, const TiledWork& work,
                                              absl::Time now) const {
  absl::Status status = CheckStillWanted(job, now);
  const bool others_wait = summary_.requests() > static_cast<int64_t>(work.jobs.size());
  if (!status.ok() || !others_wait) return status;
  const absl::Duration remaining = work.tile_cost * (work.tile_count - work.tiles_taken);
  if (!TooLateToContinue(options_, job.spec, remaining * RatioAt(work.kind, now), now)) {
    return status;
  }
  return LateError(job, remaining, now);
}

void BatchQueue::AddToSummary(const LaneId& lane_id, WorkKind kind, int64_t requests,
                              absl::Duration cost) {
  const bool is_small = kind == WorkKind::kSmall;
  (is_small ? summary_.small_requests : summary_.large_requests) += requests;
  (is_small ? summary_.small_cost : summary_.large_cost) += cost;
  if (kind == WorkKind::kPass) pass_cost_ += cost;
  loads_.Add(lane_id, requests, cost);
}

QueueSummary BatchQueue::CorrectedSummary(absl::Time now) const {
  QueueSummary corrected = summary_;
  corrected.small_cost *= RatioAt(WorkKind::kSmall, now);
  corrected.large_cost = (summary_.large_cost - pass_cost_) * RatioAt(WorkKind::kTiled, now) +
                         pass_cost_ * RatioAt(WorkKind::kPass, now);
  return corrected;
}

absl::Duration BatchQueue::OthersMeanwhile(LaneId lane_id, absl::Duration own,
                                           const QueueSummary& corrected, double ratio) const {
  const auto lane = lanes_.find(lane_id);
  const bool is_active = lane != lanes_.end();
  const absl::Duration in_lane =
      is_active ? lane->second.cost.total() * ratio : absl::ZeroDuration();
  const absl::Duration total = summary_.cost();
  const double mean_ratio =
      total > absl::ZeroDuration() ? absl::FDivDuration(corrected.cost(), total) : 1.0;
  return loads_.OthersMeanwhile(lane_id, is_active, own, in_lane, corrected.cost(), mean_ratio);
}

absl::Duration BatchQueue::WorkAhead(LaneId lane_id, absl::Time rank, absl::Duration own,
                                     const QueueSummary& corrected, double ratio) const {
  const auto lane = lanes_.find(lane_id);
  const absl::Duration ahead =
      lane != lanes_.end() ? lane->second.cost.UpTo(rank) * ratio : absl::ZeroDuration();
  return running_cost_ * ratio + ahead + OthersMeanwhile(lane_id, ahead + own, corrected, ratio);
}

absl::Status BatchQueue::Admit(const QueuedJob& job, absl::Duration own, LaneId lane_id,
                               absl::Time now) const {
  if (summary_.requests() == 0) return absl::OkStatus();
  if (absl::Status status = AdmitToQueue(options_, loads_.SeenBy(lane_id, summary_));
      !status.ok()) {
    return Refused(status, now);
  }
  if (HasAmpleTime(job, own, now)) return absl::OkStatus();
  const double ratio = RatioAt(KindOf(options_, job.spec), now);
  const QueueSummary corrected = CorrectedSummary(now);
  JobSpec spec = job.spec;
  spec.cost = own * ratio;
  const absl::Time rank = RankOf(options_, job.spec, job.arrival);
  const auto lane = lanes_.find(lane_id);
  const ExpectedWait expected = {
      .ahead = WorkAhead(lane_id, rank, spec.cost, corrected, ratio),
      .lane_is_standing =
          lane != lanes_.end() && now - lane->second.prompt_at > options_.standing_after};
  const absl::Status status = AdmitByPrediction(options_, corrected, spec, expected, now);
  return status.ok() ? status : Refused(status, now);
}

void BatchQueue::NoteTurn(const QueuedJob& job, absl::Time now, Lane& lane) const {
  if (now - job.arrival <= options_.prompt_turn) lane.prompt_at = now;
}

LaneId BatchQueue::LaneOf(const JobSpec& spec) const {
  using Kind = LaneId::Kind;
  LaneId lane = {.tenant = spec.tenant, .priority = spec.priority, .family = spec.family};
  switch (KindOf(options_, spec)) {
    case WorkKind::kSmall:
      lane.kind = Kind::kSmall;
      break;
    case WorkKind::kTiled:
      lane.kind = Kind::kLarge;
      break;
    case WorkKind::kPass:
      // A job that costs more than pass_cost_max does not share its pass. It waits in a second lane
      // of its family, so the tenant's other requests never wait for the whole job.
      lane.kind = spec.cost > options_.pass_cost_max ? Kind::kHeavy : Kind::kPass;
      break;
  }
  return lane;
}

BatchQueue::Lane& BatchQueue::LaneWithWork(const LaneId& lane_id, absl::Time now) {
  const auto [lane, is_new] = lanes_.try_emplace(lane_id);
  if (is_new) {
    lane->second.prompt_at = now;
    loads_.AddLane(lane_id);
  }
  share_.SetActive(lane_id, true);
  return lane->second;
}

void BatchQueue::RemoveIfEmpty(const LaneId& lane_id) {
  const auto lane = lanes_.find(lane_id);
  if (!lane->second.IsEmpty()) return;
  lanes_.erase(lane);
  loads_.RemoveLane(lane_id);
  share_.SetActive(lane_id, false);
}

absl::Status BatchQueue::Push(std::shared_ptr<QueuedJob> job, absl::Time now) {
  const JobSpec& spec = job->spec;
  const LaneId lane_id = LaneOf(spec);
  const bool is_joinable = lane_id.kind == LaneId::Kind::kPass;
  const auto family = joinable_.lower_bound({lane_id.family, LaneId{}});
  // If a job of the family already waits for a pass, the shared cost is counted with that job.
  const bool shares = is_joinable && family != joinable_.end() && family->first == lane_id.family;
  const auto own = [&](absl::Duration cost) {
    return shares ? cost - std::min(spec.shared_cost, cost) : cost;
  };
  job->queue_cost = own(spec.cost);
  RETURN_IF_ERROR(Admit(*job, own(spec.cost), lane_id, now));
  Lane& lane = LaneWithWork(lane_id, now);
  const absl::Time rank = RankOf(options_, spec, job->arrival);
  lane.cost.Add(rank, job->queue_cost);
  const WorkKind kind = KindOf(options_, spec);
  AddToSummary(lane_id, kind, 1, job->queue_cost);
  if (kind == WorkKind::kSmall) {
    lane.small.emplace(rank, std::move(job));
  } else if (kind == WorkKind::kPass) {
    lane.ungrouped.emplace(rank, std::move(job));
    if (is_joinable) joinable_.emplace(lane_id.family, lane_id);
  } else {
    auto work = std::make_shared<TiledWork>();
    work->lane = lane_id;
    work->rank = rank;
    work->tile_count = spec.tile_count;
    work->cost = work->charged_cost = spec.cost;
    work->tile_cost = work->OfOneTile(spec.cost);
    work->queue_cost = job->queue_cost;
    work->jobs.push_back(std::move(job));
    lane.tiled.emplace(rank, std::move(work));
  }
  return absl::OkStatus();
}

Assignment BatchQueue::Take(absl::Time now) {
  Assignment assignment;
  while (!assignment.HasWork() && HasWaiting() &&
         static_cast<int64_t>(assignment.dropped.size()) < options_.group_requests_max) {
    const LaneId lane_id = share_.Choose();
    const Lane& lane = lanes_.at(lane_id);
    if (!lane.small.empty()) {
      TakeSmall(now, lane_id, assignment);
    } else if (lane.tiled.empty() || (!lane.ungrouped.empty() &&
                                      lane.ungrouped.begin()->first < lane.tiled.begin()->first)) {
      TakePass(now, lane_id, assignment);
    } else {
      TakeTile(now, lane_id, assignment);
    }
  }
  if (assignment.HasWork()) AcquireSlot();
  return assignment;
}

void BatchQueue::TakeSmall(absl::Time now, const LaneId& lane_id, Assignment& assignment) {
  const absl::Duration cost_max = GroupCost(options_, summary_);
  SmallJobs small;
  bool is_full = AddSmall(now, lane_id, cost_max, small, assignment);
  while (!is_full && HasWaiting()) {
    const LaneId next = share_.Choose();
    if (next.kind != LaneId::Kind::kSmall) break;
    is_full = AddSmall(now, next, cost_max, small, assignment);
  }
  if (small.jobs.empty()) return;
  running_cost_ += small.cost;
  assignment.work = std::move(small);
}

bool BatchQueue::AddSmall(absl::Time now, const LaneId& lane_id, absl::Duration cost_max,
                          SmallJobs& small, Assignment& assignment) {
  Lane& lane = lanes_.at(lane_id);
  absl::Duration added;
  bool is_full = false;
  while (!is_full && !lane.small.empty()) {
    const auto first = lane.small.begin();
    const absl::Duration next = first->second->spec.cost;
    is_full = static_cast<int64_t>(small.jobs.size() + assignment.dropped.size()) >=
                  options_.group_requests_max ||
              (!small.jobs.empty() && small.cost + next > cost_max);
    if (is_full) break;
    std::shared_ptr<QueuedJob> job = std::move(first->second);
    lane.cost.Add(first->first, -job->queue_cost);
    lane.small.erase(first);
    job->status = CheckWorthBeginning(*job, small.cost + next, now);
    AddToSummary(lane_id, WorkKind::kSmall, -1, -job->queue_cost);
    if (job->status.ok()) {
      NoteTurn(*job, now, lane);
      added += next;
      small.cost += next;
      small.jobs.push_back(std::move(job));
    } else {
      assignment.dropped.push_back(std::move(job));
    }
  }
  share_.Charge(lane_id, added * RatioAt(WorkKind::kSmall, now));
  RemoveIfEmpty(lane_id);
  return is_full;
}

void BatchQueue::TakeTile(absl::Time now, const LaneId& lane_id, Assignment& assignment) {
  Lane& lane = lanes_.at(lane_id);
  const auto first = lane.tiled.begin();
  const std::shared_ptr<TiledWork> work = first->second;
  const auto check = [&](const QueuedJob& job) {
    if (!job.status.ok()) return job.status;
    return work->tiles_taken == 0 ? CheckWorthBeginning(job, work->cost, now)
                                  : CheckWorthContinuing(job, *work, now);
  };
  // The work continues while at least one of its jobs is worth it. The other jobs may then be
  // answered in time, too.
  const bool is_wanted = std::any_of(work->jobs.begin(), work->jobs.end(),
                                     [&](const auto& job) { return check(*job).ok(); });
  if (!is_wanted) {
    for (const auto& job : work->jobs) job->status = check(*job);
  }
  if (!is_wanted || !work->status.ok()) {
    lane.tiled.erase(first);
    LeaveQueue(*work, &lane);
    RemoveIfEmpty(lane_id);
    work->tile_count = work->tiles_taken;
    // If tiles are running, the last of them finishes the jobs.
    if (work->tiles_running == 0) {
      for (const auto& job : work->jobs) job->status.Update(work->status);
      if (work->tiles_taken > 0) WriteReceipts(*work);
      assignment.dropped.insert(assignment.dropped.end(), work->jobs.begin(), work->jobs.end());
    }
    return;
  }
  if (work->tiles_taken == 0) NoteTurn(*work->jobs.front(), now, lane);
  assignment.work = TileToRun{work, work->tiles_taken};
  if (work->tiles_taken + 1 == work->tile_count) lane.tiled.erase(first);
  StartTile(*work, &lane, now);
  RemoveIfEmpty(lane_id);
}

void BatchQueue::StartTile(TiledWork& work, Lane* lane, absl::Time now) {
  if (work.tiles_taken == 0) work.started = now;
  share_.Charge(work.lane, work.OfOneTile(work.charged_cost) * RatioAt(work.kind, now));
  running_cost_ += work.tile_cost;
  if (work.tiles_taken + 1 == work.tile_count) {
    LeaveQueue(work, lane);
  } else {
    const absl::Duration cost = work.OfOneTile(work.queue_cost);
    AddToSummary(work.lane, work.kind, 0, -cost);
    if (lane != nullptr) lane->cost.Add(work.rank, -cost);
  }
  ++work.tiles_taken;
  ++work.tiles_running;
}

void BatchQueue::RemoveRequests(const TiledWork& work) {
  for (const auto& job : work.jobs) {
    AddToSummary(LaneOf(job->spec), work.kind, -1, absl::ZeroDuration());
  }
}

void BatchQueue::LeaveQueue(const TiledWork& work, Lane* lane) {
  const absl::Duration left = QueueCostLeft(work);
  AddToSummary(work.lane, work.kind, 0, -left);
  RemoveRequests(work);
  if (lane != nullptr) lane->cost.Add(work.rank, -left);
}

bool BatchQueue::TileDone(TiledWork& work, const absl::Status& status, absl::Time end) {
  work.ended = std::max(work.ended, end);
  work.status.Update(status);
  running_cost_ -= work.tile_cost;
  --work.tiles_running;
  return work.tiles_running == 0 && work.tiles_taken == work.tile_count;
}

}  // namespace qkserve
