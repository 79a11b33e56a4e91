#include "core/kernels/tile_scratch.h"

#include <atomic>
#include <thread>
#include <vector>

#include "core/kernels/blas.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr int64_t kFloats = 1000;

TEST(TileScratchTest, WhatIsHeldAtATimeDoesNotOverlap) {
  TileScratch outer;
  TileScratch inner;
  float* const a = outer.Get(kFloats).value();
  float* const b = inner.Get(kFloats).value();
  EXPECT_TRUE(a + kFloats <= b || b + kFloats <= a);
}

TEST(TileScratchTest, MemoryIsKeptForTheNextTile) {
  FreeKeptScratch();
  float* first = nullptr;
  {
    TileScratch scratch;
    first = scratch.Get(kFloats).value();
  }
  EXPECT_EQ(KeptScratchBytes(), kFloats * 4);
  TileScratch scratch;
  EXPECT_EQ(scratch.Get(kFloats / 2).value(), first);
}

TEST(TileScratchTest, LargeOrDeepMemoryIsNotKept) {
  FreeKeptScratch();
  {
    TileScratch large;
    ASSERT_TRUE(large.Get(kKeptBytesMax / 4 + 1).ok());
    TileScratch levels[kSeatLevels];
    for (TileScratch& level : levels) ASSERT_TRUE(level.Get(kFloats).ok());
  }
  EXPECT_LE(KeptScratchBytes(), (kSeatLevels - 1) * kFloats * 4);
}

TEST(TileScratchTest, AnIdleProcessKeepsNothing) {
  {
    TileScratch scratch;
    ASSERT_TRUE(scratch.Get(kFloats).ok());
  }
  EXPECT_GT(KeptScratchBytes(), 0);
  FreeKeptScratch();
  EXPECT_EQ(KeptScratchBytes(), 0);
}

// Many more threads than seats run. The memory held at a time must be bounded, and every thread
// must get a seat.
TEST(TileScratchTest, ThreadsShareAsManySeatsAsCpus) {
  FreeKeptScratch();
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4 * BlasCallsMax() + 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const TileScratch scope;
        TileScratch outer;
        ASSERT_TRUE(outer.Get(kFloats).ok());
        const int now = ++running;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) continue;
        {
          TileScratch inner;
          ASSERT_TRUE(inner.Get(kFloats).ok());
          std::this_thread::yield();
        }
        --running;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, BlasCallsMax());
  EXPECT_LE(KeptScratchBytes(), BlasCallsMax() * 2 * kFloats * 4);
}

TEST(TileScratchTest, AScopeKeepsTheSeat) {
  FreeKeptScratch();
  const TileScratch scope;
  {
    TileScratch scratch;
    ASSERT_TRUE(scratch.Get(kFloats).ok());
  }
  EXPECT_EQ(KeptScratchBytes(), 0);  // the seat is in use
}

}  // namespace
}  // namespace qkserve
