#include "server/admission/compute_setup.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ComputeSlotsTest, WorkersBeyondTheCpusDoNotComputeAtTheSameTime) {
  EXPECT_EQ(ComputeSlots(2, 2, kGiB), 2);
  EXPECT_EQ(ComputeSlots(1, 2, kGiB), 1);
  EXPECT_EQ(ComputeSlots(1024, 2, kGiB), 2);
  EXPECT_EQ(ComputeSlots(64, 64, 2 * kGiB), 64);
}

TEST(ComputeSlotsTest, TheirMemoryIsTakenFromTheBytesInFlight) {
  EXPECT_EQ(ComputeSlotsCharge(kComputeSlotsFree), 0);
  EXPECT_EQ(ComputeSlotsCharge(64), 56 * kComputeSlotBytes);
  // Half of the bytes stay free for requests.
  const int64_t slots = ComputeSlots(1024, 1024, 64 * kMiB);
  EXPECT_GE(slots, kComputeSlotsFree);
  EXPECT_LE(ComputeSlotsCharge(slots), 32 * kMiB);
  EXPECT_EQ(ComputeSlots(64, 64, 1), kComputeSlotsFree);
}

}  // namespace
}  // namespace qkserve
