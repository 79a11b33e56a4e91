#include "core/batching/batch_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/limit_error.h"

namespace qkserve {
namespace {

// Returns the time that a request should take if it gets all the workers that can share it.
absl::Duration TimeAlone(const BatchPolicyOptions& options, const JobSpec& spec) {
  // The number of tiles of a pass is unknown until the pass is made. All workers are assumed to
  // share them.
  const int64_t workers =
      spec.group != GroupId::kNone ? options.workers : std::min(options.workers, spec.tile_count);
  return spec.cost / std::max(workers, int64_t{1});
}

}  // namespace

absl::Status BatchPolicyOptions::Validate() const {
  absl::Status status;
  const auto check = [&status](bool is_fine, const auto&... message) {
    if (!is_fine) status.Update(absl::InvalidArgumentError(absl::StrCat(message...)));
  };
  const auto check_count = [&check](const char* name, int64_t value) {
    check(value >= 1, name, " must be at least 1; was ", value);
  };
  const auto check_time = [&check](const char* name, absl::Duration value) {
    check(value >= absl::ZeroDuration(), name, " must not be negative; was ",
          absl::FormatDuration(value));
  };
  check_count("workers", workers);
  check(threads == 0 || threads >= workers, "threads must be 0 or at least workers = ", workers,
        "; was ", threads);
  check_count("queued_requests_max", queued_requests_max);
  check_count("group_requests_max", group_requests_max);
  check_count("pass_requests_max", pass_requests_max);
  check_time("queued_time_max", queued_time_max);
  check_time("prompt_turn", prompt_turn);
  check_time("standing_after", standing_after);
  check_time("small_cost_max", small_cost_max);
  check_time("group_cost_max", group_cost_max);
  check_time("pass_cost_max", pass_cost_max);
  check_time("arrival_cost_max", arrival_cost_max);
  return status;
}

WorkKind KindOf(const BatchPolicyOptions& options, const JobSpec& spec) {
  if (spec.group != GroupId::kNone) return WorkKind::kPass;
  const bool is_small = spec.tile_count <= 1 && spec.cost <= options.small_cost_max;
  return is_small ? WorkKind::kSmall : WorkKind::kTiled;
}

bool RunsOnArrival(const BatchPolicyOptions& options, const QueueSummary& queue,
                   const JobSpec& spec) {
  return spec.tile_count <= 1 && spec.cost <= options.arrival_cost_max && queue.requests() == 0 &&
         queue.busy < options.workers;
}

absl::Time DueOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival) {
  return std::min(spec.deadline, arrival + options.queued_time_max);
}

absl::Time RankOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival) {
  // A fifth of the time is left for work that is still done after the request gets to the front.
  // Without this margin, many requests were dropped just before their turns.
  const absl::Time front = arrival + (DueOf(options, spec, arrival) - arrival) * 4 / 5;
  // Without the second bound, others would overtake a long request until it is too late to begin.
  return std::min(front + spec.cost, spec.deadline - TimeAlone(options, spec) * 2);
}

absl::Status AdmitToQueue(const BatchPolicyOptions& options, const QueueSummary& queue) {
  if (queue.requests() == 0 || queue.requests() < options.queued_requests_max) {
    return absl::OkStatus();
  }
  return LimitError("queue_requests_max",
                    absl::StrCat("the queue is full: ", queue.requests(), " requests wait"));
}

absl::Status AdmitByPrediction(const BatchPolicyOptions& options, const QueueSummary& queue,
                               const JobSpec& spec, const ExpectedWait& expected, absl::Time now) {
  if (queue.requests() == 0) return absl::OkStatus();
  const absl::Duration wait = expected.ahead / options.workers;
  const absl::Duration own = TimeAlone(options, spec);
  const absl::Duration reserved = expected.lane_is_standing ? wait * 2 : wait * 3 / 2;
  static_assert(kReserveFactorMax == 2);
  if (now + reserved + own * 3 / 2 > spec.deadline) {
    return LimitError("deadline", absl::StrCat("too much is queued to meet the deadline: it is ",
                                               absl::FormatDuration(spec.deadline - now),
                                               " away, and the request should wait for ",
                                               absl::FormatDuration(wait), " and take ",
                                               absl::FormatDuration(own)));
  }
  if (queue.requests() > 1 && reserved > options.queued_time_max) {
    return LimitError(
        "queue_time_max",
        absl::StrCat("the queue is full: the request should wait for ", absl::FormatDuration(wait),
                     ", and with a reserve for ", absl::FormatDuration(reserved), "; the limit is ",
                     absl::FormatDuration(options.queued_time_max)));
  }
  return absl::OkStatus();
}

bool WaitedTooLong(const BatchPolicyOptions& options, const QueueSummary& queue, absl::Time arrival,
                   absl::Time now) {
  return queue.requests() > 1 && now - arrival > options.queued_time_max;
}

bool TooLateToBegin(const BatchPolicyOptions& options, const QueueSummary& queue,
                    const JobSpec& spec, absl::Duration others, absl::Time now) {
  if (spec.deadline == absl::InfiniteFuture() || queue.requests() <= 1) return false;
  return now + others / options.workers + TimeAlone(options, spec) * 3 / 2 > spec.deadline;
}

bool TooLateToContinue(const BatchPolicyOptions& options, const JobSpec& spec,
                       absl::Duration remaining, absl::Time now) {
  return now + remaining / options.workers > spec.deadline;
}

absl::Duration RetryAfter(const BatchPolicyOptions& options, const QueueSummary& queue,
                          uint64_t refusals) {
  const absl::Duration all =
      std::clamp(queue.cost() / options.workers, absl::Milliseconds(10), absl::Seconds(1));
  return SpreadRetryAfter(all, refusals);
}

absl::Duration GroupCost(const BatchPolicyOptions& options, const QueueSummary& queue) {
  return std::min(queue.small_cost / options.workers, options.group_cost_max);
}

absl::Duration CostInPass(const JobSpec& spec, int64_t requests) {
  if (requests <= 1) return spec.cost;
  const absl::Duration shared = std::min(spec.shared_cost, spec.cost);
  return spec.cost - shared + shared / requests;
}

bool JoinsPass(const BatchPolicyOptions& options, int64_t requests, absl::Duration pass_cost,
               absl::Duration cost) {
  if (requests == 0) return true;
  return requests < options.pass_requests_max && pass_cost + cost <= options.pass_cost_max;
}

}  // namespace qkserve
