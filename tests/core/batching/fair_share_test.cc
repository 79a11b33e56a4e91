#include "core/batching/fair_share.h"

#include <cstdint>
#include <map>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

LaneId Lane(uint64_t tenant, uint64_t family, Priority priority = Priority::kNormal) {
  return {.tenant = TenantId{tenant},
          .priority = priority,
          .kind = LaneId::Kind::kPass,
          .family = FamilyId{family}};
}

// The time that each lane gets in `rounds` portions of 1 ms, if all lanes have work.
std::map<LaneId, absl::Duration> Serve(FairShare& share, const std::vector<LaneId>& lanes,
                                       int rounds) {
  for (const LaneId& lane : lanes) share.SetActive(lane, true);
  std::map<LaneId, absl::Duration> times;
  for (int i = 0; i < rounds; ++i) {
    const LaneId lane = share.Choose();
    share.Charge(lane, absl::Milliseconds(1));
    times[lane] += absl::Milliseconds(1);
  }
  return times;
}

TEST(FairShareTest, TenantsShareTheTimeAndThenEachSharesItBetweenItsLanes) {
  FairShare share;
  const auto times = Serve(share, {Lane(1, 1), Lane(2, 1), Lane(2, 2), Lane(2, 3)}, 600);
  EXPECT_EQ(times.at(Lane(1, 1)), absl::Milliseconds(300));
  for (uint64_t family = 1; family <= 3; ++family) {
    EXPECT_EQ(times.at(Lane(2, family)), absl::Milliseconds(100));
  }
}

TEST(FairShareTest, NormalWorkOfATenantGoesBeforeItsLowWork) {
  FairShare share;
  const LaneId normal = Lane(1, 2);
  const LaneId low = Lane(1, 1, Priority::kLow);
  EXPECT_EQ(Serve(share, {normal, low}, 10).at(normal), absl::Milliseconds(10));
  share.SetActive(normal, false);
  EXPECT_EQ(share.Choose(), low);
}

TEST(FairShareTest, APriorityTakesNothingFromOtherTenants) {
  FairShare share;
  const LaneId low = Lane(1, 1, Priority::kLow);
  const LaneId normal = Lane(2, 1);
  const auto times = Serve(share, {low, normal}, 100);
  EXPECT_EQ(times.at(low), absl::Milliseconds(50));
  EXPECT_EQ(times.at(normal), absl::Milliseconds(50));
}

TEST(FairShareTest, ForgetsTenantsAndLanesThatAreGone) {
  FairShare share;
  const LaneId busy = Lane(1, 1);
  share.SetActive(busy, true);
  for (uint64_t i = 10; i < 210; ++i) {
    for (const LaneId& lane : {Lane(i, 1), Lane(1, i)}) {
      share.SetActive(lane, true);
      share.Charge(lane, absl::Microseconds(1));
      share.SetActive(lane, false);
    }
    share.Charge(busy, absl::Milliseconds(1));
    EXPECT_EQ(share.Choose(), busy);
  }
  EXPECT_LT(share.size(), 8U);
}

}  // namespace
}  // namespace qkserve
