#include "core/batching/tenant_loads.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

LaneId Lane(uint64_t tenant, Priority priority = Priority::kNormal) {
  return {.tenant = TenantId{tenant}, .priority = priority};
}

// A queue that one tenant fills.
class TenantLoadsTest : public testing::Test {
 protected:
  TenantLoadsTest() { Put(Lane(1), 90, absl::Seconds(9)); }

  void Put(const LaneId& lane, int64_t requests, absl::Duration cost) {
    loads_.AddLane(lane);
    loads_.Add(lane, requests, cost);
    all_.large_requests += requests;
    all_.large_cost += cost;
  }

  absl::Duration OthersMeanwhile(const LaneId& lane, absl::Duration own) const {
    return loads_.OthersMeanwhile(lane, /*is_active=*/false, own, absl::ZeroDuration(), all_.cost(),
                                  1.0);
  }

  TenantLoads loads_;
  QueueSummary all_;
};

TEST_F(TenantLoadsTest, ATenantSeesTheQueueAsIfAllHadAsMuchAsItself) {
  EXPECT_EQ(loads_.SeenBy(Lane(1), all_).requests(), 90);
  EXPECT_EQ(loads_.SeenBy(Lane(1), all_).cost(), absl::Seconds(9));
  EXPECT_EQ(loads_.SeenBy(Lane(2), all_).requests(), 0);
  Put(Lane(2), 10, absl::Seconds(1));
  EXPECT_EQ(loads_.SeenBy(Lane(2), all_).requests(), 20);
  EXPECT_EQ(loads_.SeenBy(Lane(2), all_).cost(), absl::Seconds(2));
  EXPECT_EQ(loads_.SeenBy(Lane(1), all_).requests(), 100);  // no more than the queue has
}

TEST_F(TenantLoadsTest, LowWorkDoesNotCloseTheQueueToNormalWork) {
  Put(Lane(2, Priority::kLow), 40, absl::Seconds(4));
  EXPECT_EQ(loads_.SeenBy(Lane(2), all_).requests(), 0);
  EXPECT_EQ(loads_.SeenBy(Lane(2, Priority::kLow), all_).requests(), 80);
}

TEST_F(TenantLoadsTest, OtherTenantsGetNoMoreThanAsMuchEach) {
  EXPECT_EQ(OthersMeanwhile(Lane(2), absl::Milliseconds(20)), absl::Milliseconds(20));
  Put(Lane(3), 1, absl::Seconds(1));
  EXPECT_EQ(OthersMeanwhile(Lane(2), absl::Milliseconds(20)), absl::Milliseconds(40));
  EXPECT_EQ(OthersMeanwhile(Lane(2), absl::Hours(1)), absl::Seconds(10));  // all work of the others
}

TEST_F(TenantLoadsTest, ALowJobWaitsForTheNormalWorkOfItsTenant) {
  Put(Lane(2), 1, absl::Milliseconds(100));
  // The job waits for 100 ms of its own tenant's work. Meanwhile the other tenant gets 120 ms, as
  // much as that work and the job.
  EXPECT_EQ(OthersMeanwhile(Lane(2, Priority::kLow), absl::Milliseconds(20)),
            absl::Milliseconds(220));
  Put(Lane(2, Priority::kLow), 1, absl::Seconds(1));
  EXPECT_EQ(OthersMeanwhile({.tenant = TenantId{2}, .kind = LaneId::Kind::kLarge},
                            absl::Milliseconds(20)),
            absl::Milliseconds(20 + 40));
}

TEST_F(TenantLoadsTest, ForgetsTenantsThatHaveNothing) {
  Put(Lane(2), 1, absl::Milliseconds(100));
  loads_.Add(Lane(2), -1, -absl::Milliseconds(100));
  loads_.RemoveLane(Lane(2));
  EXPECT_EQ(OthersMeanwhile(Lane(3), absl::Milliseconds(20)), absl::Milliseconds(20));
}

}  // namespace
}  // namespace qkserve
