#ifndef QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
#define QKSERVE_CORE_BATCHING_FAIR_SHARE_H_

#include <array>
#include <compare>
#include <cstddef>
#include <map>

#include "absl/time/time.h"
#include "core/batching/fair_turns.h"
#include "core/batching/job.h"
#include "core/batching/limits.h"

namespace qkserve {

// Identifies a lane: work of one tenant and one priority that waits in one order. If several lanes
// of a tenant are due, the lowest id goes first. So the kinds are in order of urgency.
struct LaneId {
  enum class Kind {
    kSmall,  // small jobs without a group
    kLarge,  // large jobs without a group
    kPass,   // the jobs of a family's groups
    kHeavy   // jobs of these groups that cost more than a pass may cost
  };
  TenantId tenant = {};
  Priority priority = Priority::kNormal;
  Kind kind = Kind::kSmall;
  FamilyId family = FamilyId::kNone;  // set for kPass and kHeavy

  // clang-tidy 14 means a 0 that the compiler adds. NOLINTNEXTLINE(modernize-use-nullptr)
  friend auto operator<=>(const LaneId&, const LaneId&) = default;
};

// Chooses the next lane in three steps (FairTurns). Every tenant that has work gets an equal share
// of the time. Within a tenant, normal work goes before low work. Then every lane of this priority
// gets an equal share of the tenant's time.
//
// Only tenants and lanes that have work, or had work in the last turns, take memory.
//
// Thread-compatible.
class FairShare {
 public:
  // Tells whether the lane has work. A repeated call changes nothing.
  void SetActive(const LaneId& lane, bool active);

  // Returns how many tenants and lanes are remembered, in total. For tests.
  size_t size() const;

  bool HasActive() const { return tenants_.HasActive(); }

  // Returns the lane whose turn it is. Requires HasActive().
  LaneId Choose();

  // Charges `cost`, the time of the work taken from the lane, to the tenant and to the lane. The
  // lane may have no work left.
  void Charge(const LaneId& lane, absl::Duration cost);

 private:
  struct Lanes {
    std::array<FairTurns<LaneId>, kPriorities> turns;

    FairTurns<LaneId>& Of(Priority priority) { return turns[static_cast<size_t>(priority)]; }
    bool HasActive() const { return turns[0].HasActive() || turns[1].HasActive(); }
  };
  static_assert(kPriorities == 2);

  FairTurns<TenantId> tenants_{kTenantSavingsMax};
  // The lanes of the tenants that have work. Other tenants are not kept, because their lanes owe
  // each other nothing.
  std::map<TenantId, Lanes> lanes_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_BATCHING_FAIR_SHARE_H_
