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

  // The requests that may wait.
  int64_t queued_requests_max = kQueueRequestsMax;

  // The longest time that a request may wait for its turn, predicted or actual. A deadline may
  // allow less.
  absl::Duration queued_time_max = kQueueTimeMax;

  // A lane in which no request has had its turn within prompt_turn for standing_after is a standing
  // queue. It holds no burst: there is more work than the workers can do, and longer waiting helps
  // nobody (after Nichols and Jacobson, Controlling Queue Delay, ACM Queue 2012). The first time is
  // twice that of the longest tile. The second is longer than nearly all bursts of random traffic
  // at 0.8 of the capacity.
  absl::Duration prompt_turn = absl::Milliseconds(10);
  absl::Duration standing_after = absl::Seconds(1);

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

// The last moment at which the turn of a request is worth anything: its deadline, but at most
// queued_time_max after its arrival.
absl::Time DueOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival);

// The order in a lane: the lowest rank goes first. Callers who can wait less go before those who
// can wait longer, and short requests before long ones. Later arrivals rank later, so no request
// waits for ever.
absl::Time RankOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival);

// OK, or RESOURCE_EXHAUSTED with the limit queue_requests_max, if a further request would break it.
// A request that finds the queue empty is never refused: no other time would be better.
absl::Status AdmitToQueue(const BatchPolicyOptions& options, const QueueSummary& queue);

// The next functions decide by predicted times. The costs that they get are corrected (CostRatio).
// They never turn away a request that finds nothing waiting, however pessimistic its prediction.

struct ExpectedWait {
  // The work that is done before the request, in time of one worker.
  absl::Duration ahead = absl::ZeroDuration();
  bool lane_is_standing = false;  // see BatchPolicyOptions::standing_after
};

// Decides about a request that comes now. Its wait is counted 1.25 times, or twice if its lane is a
// standing queue, and its own time 1.5 times. The reserve is for predictions that are too low, and
// for later requests that rank before this one. RESOURCE_EXHAUSTED with a limit:
//   deadline         wait and own time, so counted, end after the deadline
//   queue_time_max   the wait, so counted, is longer than queued_time_max
absl::Status AdmitByPrediction(const BatchPolicyOptions& options, const QueueSummary& queue,
                               const JobSpec& spec, const ExpectedWait& expected, absl::Time now);

// The greatest factor by which AdmitByPrediction and TooLateToBegin multiply a time.
inline constexpr int64_t kReserveFactorMax = 2;

// True if a request has waited longer than queued_time_max while others wait, too.
bool WaitedTooLong(const BatchPolicyOptions& options, const QueueSummary& queue, absl::Time arrival,
                   absl::Time now);

// True if a request that begins now would miss its deadline: at 1.5 times its cost, and while
// `others` get their turns. `others` is work in time of one worker. Such a request would only make
// those that wait late as well.
bool TooLateToBegin(const BatchPolicyOptions& options, const QueueSummary& queue,
                    const JobSpec& spec, absl::Duration others, absl::Time now);

// True if a request that has begun will miss its deadline even if all workers share the `remaining`
// work, in time of one worker. There is no margin: the work done so far is paid for.
bool TooLateToContinue(const BatchPolicyOptions& options, const JobSpec& spec,
                       absl::Duration remaining, absl::Time now);

// The time after which a refused request may come again: that which all that waits now should take,
// once or up to twice. Refusal number `refusals` decides: successive numbers spread evenly over
// that range, so that callers who were refused together do not come back together. The shorter time
// is at least 10 ms, because refused callers must not keep the server busy with refusals, and at
// most 1 s.
absl::Duration RetryAfter(const BatchPolicyOptions& options, const QueueSummary& queue,
                          uint64_t refusals);

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
