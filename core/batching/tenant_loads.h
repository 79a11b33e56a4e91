#ifndef QKSERVE_CORE_BATCHING_TENANT_LOADS_H_
#define QKSERVE_CORE_BATCHING_TENANT_LOADS_H_

#include <array>
#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "core/batching/batch_policy.h"
#include "core/batching/fair_share.h"
#include "core/batching/job.h"

namespace qkserve {

// Knows what each tenant has in the queue, and what that means for a tenant that asks for more. The
// other tenants' work delays a job by no more than their shares, so only that much of it counts.
//
// A call takes O(log n). Thread-compatible.
class TenantLoads {
 public:
  // Adds requests, and predicted cost, to what waits in the lane.
  void Add(const LaneId& lane, int64_t requests, absl::Duration cost);
  // Counts a lane that has got work, or has lost it all.
  void AddLane(const LaneId& lane) { ++LevelOf(lane).lanes; }
  void RemoveLane(const LaneId& lane);

  // The queue as it looks to a job of the lane: as if every tenant had as much in it as this one,
  // but no more than there is. Low work does not count for a normal job. `all` is the whole queue.
  //
  // The bound of waiting requests applies to this. So a tenant that fills the queue closes it to
  // itself only. All tenants together may then have more: with n of them at most (1 + ln n) times
  // the bound.
  QueueSummary SeenBy(const LaneId& lane, const QueueSummary& all) const;

  // The work that others get done while the lane gets `own` done. Other lanes of the tenant, and
  // other tenants, get at most as much each; a low lane also waits for all normal work of its
  // tenant. `in_lane` is what waits in the lane, `total` all that waits; both are corrected, and
  // `ratio` corrects the other costs. `is_active` tells if the lane counts as one that has work.
  absl::Duration OthersMeanwhile(const LaneId& lane, bool is_active, absl::Duration own,
                                 absl::Duration in_lane, absl::Duration total, double ratio) const;

 private:
  // The work of a tenant at one priority.
  struct Level {
    int64_t requests = 0;
    int64_t lanes = 0;
    absl::Duration cost = absl::ZeroDuration();
  };
  using Levels = std::array<Level, kPriorities>;

  Level& LevelOf(const LaneId& lane) {
    return tenants_[lane.tenant][static_cast<size_t>(lane.priority)];
  }
  // Drops the tenant if nothing of it is left.
  void Forget(TenantId tenant);

  std::map<TenantId, Levels> tenants_;  // those that have requests or lanes
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_TENANT_LOADS_H_
