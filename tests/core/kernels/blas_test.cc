#include "core/kernels/blas.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "core/kernels/blas_kernel.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(BlasTest, NeverUsesTheSse3FallbackOnACpuWithAvx2) {
  if (!DetectCpuFeatures().avx2_fma) return;
  EXPECT_FALSE(absl::EqualsIgnoreCase(BlasKernelName(), "Prescott"));
}

TEST(BlasTest, IsThreadSafe) { EXPECT_TRUE(BlasIsThreadSafe()); }

TEST(BlasTest, FewerCallsRunAtATimeThanItHasBuffers) {
  EXPECT_GE(BlasCallsMax(), 1);
  // Debian's build allows 256 calls.
  EXPECT_LE(BlasCallsMax(), 128);
}

// OpenBLAS 0.3.21 crashes if more threads call it than it has buffers.
TEST(BlasTest, AnyNumberOfThreadsMayCall) {
  constexpr int kThreads = 400;
  constexpr int64_t kSize = 96;
  const std::vector<float> ones(kSize * kSize, 1.0F);
  std::atomic<int> waiting{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ++waiting;
      while (waiting < kThreads) std::this_thread::yield();
      std::vector<float> out(kSize * kSize);
      for (int round = 0; round < 20; ++round) {
        ComputeDotProducts({.queries = ones.data(),
                            .query_stride = kSize,
                            .keys = ones.data(),
                            .key_stride = kSize,
                            .out = out.data(),
                            .out_stride = kSize,
                            .rows = kSize,
                            .key_count = kSize,
                            .depth = kSize,
                            .accumulate = false});
        if (out != std::vector<float>(kSize * kSize, static_cast<float>(kSize))) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(BlasTest, OverwritesWhateverWasThere) {
  const std::vector<float> q = {1, 2, 3, 4};
  const std::vector<float> k = {5, 6, 7, 8};
  for (const int64_t rows : {1, 2}) {
    std::vector<float> out(4, std::numeric_limits<float>::quiet_NaN());
    ComputeDotProducts({.queries = q.data(),
                        .query_stride = 2,
                        .keys = k.data(),
                        .key_stride = 2,
                        .out = out.data(),
                        .out_stride = 2,
                        .rows = rows,
                        .key_count = 2,
                        .depth = 2,
                        .accumulate = false});
    EXPECT_EQ(out[0], 17);
    EXPECT_EQ(out[1], 23);
    if (rows == 2) {
      EXPECT_EQ(out[2], 39);
      EXPECT_EQ(out[3], 53);
    } else {
      EXPECT_TRUE(std::isnan(out[2]));
    }
  }
}

TEST(BlasTest, Accumulates) {
  const std::vector<float> q = {1, 2, 3, 4};
  for (const int64_t rows : {1, 2}) {
    std::vector<float> out(4, 100);
    ComputeDotProducts({.queries = q.data(),
                        .query_stride = 2,
                        .keys = q.data(),
                        .key_stride = 2,
                        .out = out.data(),
                        .out_stride = 2,
                        .rows = rows,
                        .key_count = 2,
                        .depth = 2,
                        .accumulate = true});
    EXPECT_EQ(out[0], 105);
    EXPECT_EQ(out[1], 111);
  }
}

TEST(BlasTest, MeasuresARate) { EXPECT_GT(MeasureBlasGflops(), 0.0); }

}  // namespace
}  // namespace qkserve
