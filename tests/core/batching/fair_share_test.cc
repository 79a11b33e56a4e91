#include "core/batching/fair_share.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

LaneId Lane(uint64_t tenant) { return {LaneId::Kind::kTenant, TenantId{tenant}}; }

const LaneId first_lane = Lane(1);
const LaneId second_lane = Lane(2);

TEST(FairShareTest, EachLaneGetsHalfOfTheTimeWhileBothWait) {
  FairShare share;
  share.SetActive(first_lane, true);
  share.SetActive(second_lane, true);
  absl::Duration first;
  absl::Duration second;
  for (int i = 0; i < 1000; ++i) {
    const bool is_first = share.Choose() == first_lane;
    const absl::Duration cost = is_first ? absl::Microseconds(300) : absl::Milliseconds(5);
    share.Charge(is_first ? first_lane : second_lane, cost);
    (is_first ? first : second) += cost;
  }
  EXPECT_NEAR(absl::FDivDuration(first, second), 1.0, 0.05);
}

TEST(FairShareTest, ALaneThatWasIdleDoesNotSaveUp) {
  FairShare share;
  share.SetActive(second_lane, true);
  for (int i = 0; i < 1000; ++i) share.Charge(share.Choose(), absl::Milliseconds(5));
  // The lane may catch up with the last portion, but not with the five seconds before.
  share.SetActive(first_lane, true);
  EXPECT_EQ(share.Choose(), first_lane);
  share.Charge(first_lane, absl::Milliseconds(6));
  EXPECT_EQ(share.Choose(), second_lane);
}

TEST(FairShareTest, LeavingDoesNotPayADebt) {
  FairShare share;
  share.SetActive(first_lane, true);
  share.SetActive(second_lane, true);
  share.SetActive(first_lane, false);
  share.Charge(first_lane, absl::Milliseconds(50));  // for a portion taken earlier
  share.SetActive(first_lane, true);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(share.Choose(), second_lane);
    share.Charge(second_lane, absl::Milliseconds(4));
  }
}

TEST(FairShareTest, ForgetsLanesThatAreGone) {
  FairShare share;
  share.SetActive(first_lane, true);
  for (uint64_t tenant = 10; tenant < 10010; ++tenant) {
    share.SetActive(Lane(tenant), true);
    share.Charge(Lane(tenant), absl::Microseconds(1));
    share.SetActive(Lane(tenant), false);
    share.Charge(first_lane, absl::Milliseconds(1));
    EXPECT_EQ(share.Choose(), first_lane);
  }
  EXPECT_LT(share.size(), 200U);
}

}  // namespace
}  // namespace qkserve
