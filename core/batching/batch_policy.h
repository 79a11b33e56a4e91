#ifndef QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
#define QKSERVE_CORE_BATCHING_BATCH_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/job.h"
#include "core/batching/limits.h"

namespace qkserve {

// The decisions of the batcher as pure functions of what is seen. No threads, no clock.

struct BatchPolicyOptions {
  // The groups and tiles that may run at a time. At least 1.
  int64_t workers = 1;

  // Threads of the pool. The threads beyond `workers` send answers while the others compute. 0: as
  // many as `workers`.
  int64_t threads = 0;

  // Bounds of what may wait: the number of requests, and the time that all workers together are
  // predicted to need for them. A longer queue would answer no request in time.
  int64_t queued_requests_max = kQueueRequestsMax;
  absl::Duration queued_time_max = absl::Seconds(10);

  // A request of one tile up to this cost is small. Small requests may be answered in a group, and
  // overtake large ones.
  absl::Duration small_cost_max = absl::Milliseconds(1);

  // A worker takes small requests up to this cost together, but at least one.
  absl::Duration group_cost_max = absl::Milliseconds(1);
  int64_t group_requests_max = kGroupRequestsMax;

  // Requests on one key set share a pass up to this cost. A pass has at least one request. A
  // request waits for the whole pass that it joins.
  absl::Duration pass_cost_max = absl::Milliseconds(20);
  int64_t pass_requests_max = kPassRequestsMax;

  // A request up to this cost runs on the thread that it arrived on if a slot is free. Waking a
  // worker would take longer than the work.
  absl::Duration arrival_cost_max = absl::Microseconds(100);

  // INVALID_ARGUMENT names the option that is out of range.
  absl::Status Validate() const;
};

// A summary of what waits and what runs.
struct QueueSummary {
  int64_t small_requests = 0;
  absl::Duration small_cost = absl::ZeroDuration();
  // Large requests, and requests of a group.
  int64_t large_requests = 0;
  absl::Duration large_cost = absl::ZeroDuration();  // cost of the tiles that have not begun

  // Slots in use: one for each group or tile that runs. At most `workers`.
  int64_t busy = 0;

  int64_t requests() const { return small_requests + large_requests; }
  absl::Duration cost() const { return small_cost + large_cost; }
};

// Kinds of work. Their predictions are wrong by different factors, so each is corrected alone.
enum class WorkKind { kSmall, kTiled, kPass };
inline constexpr int kWorkKinds = 3;
WorkKind KindOf(const BatchPolicyOptions& options, const JobSpec& spec);

// True if a request runs at once on the thread it arrived on. It never overtakes a request that
// waits.
bool RunsOnArrival(const BatchPolicyOptions& options, const QueueSummary& queue,
                   const JobSpec& spec);

// OK, or RESOURCE_EXHAUSTED with the limit that a further request would break. A request that finds
// the queue empty is never refused: no other time would be better.
absl::Status AdmitToQueue(const BatchPolicyOptions& options, const QueueSummary& queue,
                          const JobSpec& spec);

// The next functions decide by deadlines. The costs that they get are corrected (CostRatio). They
// never turn away a request that finds nothing waiting, however pessimistic its prediction, or one
// without a deadline.

// Decides about a request that comes now. `ahead` is the work, in time of one worker, that is done
// before it. RESOURCE_EXHAUSTED with the limit "deadline": the request is not expected to end by
// its deadline with a quarter of the wait and half of its own time to spare.
absl::Status AdmitByDeadline(const BatchPolicyOptions& options, const QueueSummary& queue,
                             const JobSpec& spec, absl::Duration ahead, absl::Time now);

// True if a request that begins now would miss its deadline: at 1.5 times its cost, and while
// `others` get their turns. `others` is work in time of one worker. Such a request would only make
// those that wait late as well.
bool TooLateToBegin(const BatchPolicyOptions& options, const QueueSummary& queue,
                    const JobSpec& spec, absl::Duration others, absl::Time now);

// True if a request that has begun will miss its deadline even if all workers share the `remaining`
// work, in time of one worker. There is no margin: the work done so far is paid for.
bool TooLateToContinue(const BatchPolicyOptions& options, const JobSpec& spec,
                       absl::Duration remaining, absl::Time now);

// The time after which a refused request may come again. By then all that waits now should be done.
// It is at least 10 ms: refused callers must not keep the server busy with refusals. It is at most
// 1 s.
absl::Duration RetryAfter(const BatchPolicyOptions& options, const QueueSummary& queue);

// The work that a worker takes from the small requests at once: an even share, but at most
// group_cost_max. The other workers then find their shares when they come.
absl::Duration GroupCost(const BatchPolicyOptions& options, const QueueSummary& queue);

// A job's part of the cost of a pass that answers `requests` jobs: all that is its own, and an
// equal part of what the pass pays once.
absl::Duration CostInPass(const JobSpec& spec, int64_t requests);

// True if a job that would add `cost` joins a pass of `requests` jobs and `pass_cost`. The first
// job of a pass always joins.
bool JoinsPass(const BatchPolicyOptions& options, int64_t requests, absl::Duration pass_cost,
               absl::Duration cost);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
