#ifndef QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
#define QKSERVE_CORE_BATCHING_BATCH_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/job.h"
#include "core/batching/limits.h"

namespace qkserve {

// The decisions of the batcher as pure functions: what is seen -> what to do. No threads, no clock.

struct BatchPolicyOptions {
  // Groups and tiles that may run at once. At least 1.
  int64_t workers = 1;

  // Threads of the pool. Those beyond `workers` send answers while the others compute. 0: as many
  // as `workers`.
  int64_t threads = 0;

  // Bounds of what may wait: requests, and the time that all workers together are predicted to need
  // for them. A longer queue would answer no request in time.
  int64_t queued_requests_max = kQueueRequestsMax;
  absl::Duration queued_time_max = absl::Seconds(10);

  // A request of one tile up to this cost is small: it may be answered in a group and overtakes
  // large ones.
  absl::Duration small_cost_max = absl::Milliseconds(1);

  // A worker takes small requests up to this cost at once (but at least one).
  absl::Duration group_cost_max = absl::Milliseconds(1);
  int64_t group_requests_max = kGroupRequestsMax;

  // Requests on one key set share a pass up to this cost (but at least one). A request waits for
  // the whole pass that it joins.
  absl::Duration pass_cost_max = absl::Milliseconds(20);
  int64_t pass_requests_max = kPassRequestsMax;

  // A request up to this cost runs on the thread that it arrived on if a slot is free: waking a
  // worker would take longer than the work.
  absl::Duration arrival_cost_max = absl::Microseconds(100);

  // INVALID_ARGUMENT names the option that is out of range.
  absl::Status Validate() const;
};

// A summary of what waits and what runs.
struct QueueSummary {
  int64_t small_requests = 0;
  absl::Duration small_cost = absl::ZeroDuration();
  // Large ones, and those of a group.
  int64_t large_requests = 0;
  absl::Duration large_cost = absl::ZeroDuration();  // of the tiles that have not begun

  // Slots in use: groups and tiles being run. At most `workers`.
  int64_t busy = 0;

  int64_t requests() const { return small_requests + large_requests; }
  absl::Duration cost() const { return small_cost + large_cost; }
};

// Kinds of work. Their predictions are wrong by different factors, so each is corrected alone.
enum class WorkKind { kSmall, kTiled, kPass };
inline constexpr int kWorkKinds = 3;
WorkKind KindOf(const BatchPolicyOptions& options, const JobSpec& spec);

// True if a request runs at once on the thread it arrived on. Never past one that waits.
bool RunsOnArrival(const BatchPolicyOptions& options, const QueueSummary& queue,
                   const JobSpec& spec);

// OK, or RESOURCE_EXHAUSTED with the limit that a further request would break. A request that finds
// the queue empty is never refused: it could not be served at a better time.
absl::Status AdmitToQueue(const BatchPolicyOptions& options, const QueueSummary& queue,
                          const JobSpec& spec);

// The next functions decide by deadlines. Their costs are corrected (CostRatio). A request that
// finds nothing waiting may always try, however pessimistic its prediction; so may one without a
// deadline.

// OK, or RESOURCE_EXHAUSTED with the limit "deadline": a request that comes now, with `ahead` of
// work (of one worker) to be done before it, cannot be expected to end by its deadline. It must
// have a quarter of the wait and half of its own time to spare.
absl::Status AdmitByDeadline(const BatchPolicyOptions& options, const QueueSummary& queue,
                             const JobSpec& spec, absl::Duration ahead, absl::Time now);

// True if a request that begins now would miss its deadline at 1.5 times its cost, while `others`
// (work of one worker) gets its turns. It would take the time of those that wait, and make them
// late as well.
bool TooLateToBegin(const BatchPolicyOptions& options, const QueueSummary& queue,
                    const JobSpec& spec, absl::Duration others, absl::Time now);

// True if a request that has begun will miss its deadline even if all workers share the `remaining`
// work (of one worker). No margin: the work done so far is paid for.
bool TooLateToContinue(const BatchPolicyOptions& options, const JobSpec& spec,
                       absl::Duration remaining, absl::Time now);

// The time after which a refused request may come again: all that waits now should then be done. At
// least 10 ms, so that refused callers do not keep the server busy with refusals, and at most 1 s.
absl::Duration RetryAfter(const BatchPolicyOptions& options, const QueueSummary& queue);

// How much work a worker takes from the small requests at once: an even share, so that the others
// find theirs when they come, within group_cost_max.
absl::Duration GroupCost(const BatchPolicyOptions& options, const QueueSummary& queue);

// True if a job that would cost `cost` more joins a pass of `requests` jobs and `pass_cost`. Its
// first job always does.
bool JoinsPass(const BatchPolicyOptions& options, int64_t requests, absl::Duration pass_cost,
               absl::Duration cost);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
