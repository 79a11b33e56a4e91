#include "server/admission/compute_turns.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ComputeTurnsTest, WorkersBeyondTheCpusDoNotComputeAtTheSameTime) {
  EXPECT_EQ(ComputeTurns(2, 2, kGiB), 2);
  EXPECT_EQ(ComputeTurns(1, 2, kGiB), 1);
  EXPECT_EQ(ComputeTurns(1024, 2, kGiB), 2);
  EXPECT_EQ(ComputeTurns(64, 64, 2 * kGiB), 64);
}

TEST(ComputeTurnsTest, TheirMemoryIsTakenFromTheBytesInFlight) {
  EXPECT_EQ(ComputeTurnsCharge(kComputeTurnsFree), 0);
  EXPECT_EQ(ComputeTurnsCharge(64), 56 * kComputeTurnBytes);
  // Half of them are left for requests.
  const int64_t turns = ComputeTurns(1024, 1024, 64 * kMiB);
  EXPECT_GE(turns, kComputeTurnsFree);
  EXPECT_LE(ComputeTurnsCharge(turns), 32 * kMiB);
  EXPECT_EQ(ComputeTurns(64, 64, 1), kComputeTurnsFree);
}

}  // namespace
}  // namespace qkserve
