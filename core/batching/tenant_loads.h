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

// Counts what each tenant has in the queue, and estimates how that delays a new job. Other tenants
// delay a job by no more than their shares, so only this much of their work counts.
//
// A call takes O(log n). Thread-compatible.
class TenantLoads {
 public:
  // Adds requests and their predicted cost to what waits in the lane.
  void Add(const LaneId& lane, int64_t requests, absl::Duration cost);
  // Count the lanes that have work. AddLane is called when a lane gets work, RemoveLane when it has
  // none left.
  void AddLane(const LaneId& lane) { ++LevelOf(lane).lanes; }
  void RemoveLane(const LaneId& lane);

  // Returns the queue as a job of the lane sees it: as if every tenant had as much work in it as
  // the job's tenant, but no more than `all`, the whole queue. Low work does not count for a normal
  // job.
  //
  // The limit of waiting requests applies to this view. So a tenant that fills the queue closes it
  // only for itself. All tenants together may then have more requests than the limit: n tenants
  // have at most (1 + ln n) times the limit.
  QueueSummary SeenBy(const LaneId& lane, const QueueSummary& all) const;

  // Returns the work that others get done while the lane gets `own` done. Each other lane of the
  // tenant gets at most as much as this lane, and each other tenant at most as much as this tenant.
  // A low lane also waits for all normal work of its tenant. `in_lane` is the work that waits in
  // the lane, and `total` is all work that waits. Both are corrected; `ratio` corrects the other
  // costs. `is_active` is true if AddLane has counted the lane.
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
  // Drops the tenant if it has no requests and no lanes left.
  void Forget(TenantId tenant);

  std::map<TenantId, Levels> tenants_;  // the tenants that have requests or lanes
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_TENANT_LOADS_H_
