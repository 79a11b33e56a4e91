#ifndef QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
#define QKSERVE_CORE_BATCHING_BATCH_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/batching/job.h"
#include "core/batching/limits.h"

namespace qkserve {

// The decisions of the batcher, as pure functions without threads or a clock.

struct BatchPolicyOptions {
  // The most tiles and groups of small requests that may run at a time. At least 1.
  int64_t workers = 1;

  // Threads of the pool. The threads beyond `workers` send answers while the others compute. 0: as
  // many as `workers`.
  int64_t threads = 0;

  // The most requests that may wait.
  int64_t queued_requests_max = kQueueRequestsMax;

  // The longest time that a request may wait for its turn, predicted or actual. A deadline may
  // allow less.
  absl::Duration queued_time_max = kQueueTimeMax;

  // A request has a prompt turn if it waits for at most prompt_turn. A lane is a standing queue if
  // none of its requests had a prompt turn for longer than standing_after. Such a queue is not a
  // burst: there is more work than the workers can do, and longer waiting helps nobody (after
  // Nichols and Jacobson, Controlling Queue Delay, ACM Queue 2012). prompt_turn is twice the time
  // of the longest tile. standing_after is longer than nearly all bursts of random traffic at 0.8
  // of the capacity.
  absl::Duration prompt_turn = absl::Milliseconds(10);
  absl::Duration standing_after = absl::Seconds(1);

  // A request of one tile up to this cost is small. Small requests may be answered in a group, and
  // they overtake large ones.
  absl::Duration small_cost_max = absl::Milliseconds(1);

  // A worker takes small requests up to this total cost together, but at least one request.
  absl::Duration group_cost_max = absl::Milliseconds(1);
  int64_t group_requests_max = kGroupRequestsMax;

  // Requests on one key set share a pass up to this total cost. A pass has at least one request. A
  // request waits for the whole pass that it joins.
  absl::Duration pass_cost_max = absl::Milliseconds(20);
  int64_t pass_requests_max = kPassRequestsMax;

  // A request up to this cost runs on the thread that it arrived on if a slot is free, because
  // waking a worker would take longer than the work.
  absl::Duration arrival_cost_max = absl::Microseconds(100);

  // INVALID_ARGUMENT names the option that is out of range.
  absl::Status Validate() const;
};

// A summary of what waits and what runs.
struct QueueSummary {
  int64_t small_requests = 0;
  absl::Duration small_cost = absl::ZeroDuration();
  // Large requests, and requests that need a pass (JobSpec::group).
  int64_t large_requests = 0;
  absl::Duration large_cost = absl::ZeroDuration();  // cost of the tiles that have not begun

  // Slots in use: one for each tile, and for each group of small requests, that runs. At most
  // `workers`.
  int64_t busy = 0;

  int64_t requests() const { return small_requests + large_requests; }
  absl::Duration cost() const { return small_cost + large_cost; }
};

// The kinds of work. Their predictions are wrong by different factors, so each kind has its own
// correction.
enum class WorkKind { kSmall, kTiled, kPass };
inline constexpr int kWorkKinds = 3;
WorkKind KindOf(const BatchPolicyOptions& options, const JobSpec& spec);

// True if a request runs at once on the thread that it arrived on. Such a request never overtakes
// one that waits.
bool RunsOnArrival(const BatchPolicyOptions& options, const QueueSummary& queue,
                   const JobSpec& spec);

// Returns the latest time at which the turn of a request is still useful: its deadline, but at most
// queued_time_max after its arrival.
absl::Time DueOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival);

// Returns the rank of a request in its lane. The lowest rank goes first. Callers who can wait less
// go before those who can wait longer, and short requests before long ones. Later arrivals rank
// later, so no request waits for ever.
absl::Time RankOf(const BatchPolicyOptions& options, const JobSpec& spec, absl::Time arrival);

// Returns RESOURCE_EXHAUSTED with the limit queue_requests_max if a further request would break
// this limit, otherwise OK. A request that finds the queue empty is never refused, because no other
// time would be better.
absl::Status AdmitToQueue(const BatchPolicyOptions& options, const QueueSummary& queue);

// The functions below decide by predicted times. Costs must be corrected (CostRatio) before they
// are passed. AdmitByPrediction and TooLateToBegin never turn away a request if no other request
// waits, however pessimistic its prediction is. "Worker time" is the time that one worker needs.

struct ExpectedWait {
  // The worker time of the work that is done before the request.
  absl::Duration ahead = absl::ZeroDuration();
  bool lane_is_standing = false;  // see BatchPolicyOptions::standing_after
};

// Decides whether a request that comes now is admitted. Its wait and its own time are
// multiplied by 1.5, or the wait by 2 if its lane is a standing queue. This reserve is for
// predictions that are too low, and for later requests that rank before this one.
// RESOURCE_EXHAUSTED with a limit:
//   deadline         the multiplied wait and own time end after the deadline
//   queue_time_max   the multiplied wait is longer than queued_time_max, and at least two requests
//                    wait. One request, however long, is no queue: otherwise two callers whose
//                    requests take longer than queued_time_max could not share a server.
absl::Status AdmitByPrediction(const BatchPolicyOptions& options, const QueueSummary& queue,
                               const JobSpec& spec, const ExpectedWait& expected, absl::Time now);

// The greatest factor by which AdmitByPrediction and TooLateToBegin multiply a time.
inline constexpr int64_t kReserveFactorMax = 2;

// True if a request has waited longer than queued_time_max and other requests wait, too.
bool WaitedTooLong(const BatchPolicyOptions& options, const QueueSummary& queue, absl::Time arrival,
                   absl::Time now);

// True if a request that begins now would miss its deadline at 1.5 times its cost. `others` is the
// worker time of other work that is done meanwhile. A request that is late anyway would only make
// waiting requests late, too.
bool TooLateToBegin(const BatchPolicyOptions& options, const QueueSummary& queue,
                    const JobSpec& spec, absl::Duration others, absl::Time now);

// True if a request that has begun will miss its deadline even if all workers share the work that
// is left. `remaining` is the worker time of this work. There is no margin, because the work done
// so far is already paid for.
bool TooLateToContinue(const BatchPolicyOptions& options, const JobSpec& spec,
                       absl::Duration remaining, absl::Time now);

// Returns the time after which a refused request may come again: one to two times the time that all
// waiting work should take. That time is raised to at least 10 ms, because refused callers must not
// keep the server busy with refusals, and cut to at most 1 s. `refusals` is the number of the
// refusal. Successive numbers spread evenly over the range, so that callers who were refused
// together do not come back together.
absl::Duration RetryAfter(const BatchPolicyOptions& options, const QueueSummary& queue,
                          uint64_t refusals);

// Returns the cost of the small requests that a worker takes at once: an even share of all small
// requests, but at most group_cost_max. The rest is left for the other workers.
absl::Duration GroupCost(const BatchPolicyOptions& options, const QueueSummary& queue);

// Returns a job's part of the cost of a pass that answers `requests` jobs: its cost without
// shared_cost, and an equal part of shared_cost.
absl::Duration CostInPass(const JobSpec& spec, int64_t requests);

// True if a job that would add `cost` joins a pass of `requests` jobs and `pass_cost`. The first
// job of a pass always joins.
bool JoinsPass(const BatchPolicyOptions& options, int64_t requests, absl::Duration pass_cost,
               absl::Duration cost);

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_BATCH_POLICY_H_
