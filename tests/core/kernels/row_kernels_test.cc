#include "core/kernels/row_kernels.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/for_each_target.h"

namespace qkserve {
namespace {

constexpr float kNotAttended = -std::numeric_limits<float>::infinity();

// Equal terms have equal rounding errors, which may add up.
TEST(RowKernelsTest, TheErrorOfASumOfWeightsDoesNotGrowWithTheirNumber) {
  ForEachTarget([] {
    for (const int64_t count : {1, 2, 3, 15, 100, 511, 512, 1000, 3'000'001}) {
      for (const float score : {0.0F, -0.1F, -0.7F, -3.0F}) {
        std::vector<float> row(static_cast<size_t>(count), score);
        const double sum = ExpAndSum(0.0F, count, row.data());
        // The exact sum uses the weights as computed, because their own errors are tested
        // elsewhere.
        const double exact = static_cast<double>(row[0]) * static_cast<double>(count);
        EXPECT_NEAR(sum / exact, 1.0, 5 * 0x1p-24) << count << " of " << score;
        EXPECT_NEAR(row.back(), std::exp(score), 2e-7F);
      }
    }
  });
}

TEST(RowKernelsTest, WhatIsNotAttendedHasNoWeight) {
  ForEachTarget([] {
    for (const int64_t count : {1, 16, 37}) {
      std::vector<float> row(static_cast<size_t>(count), kNotAttended);
      EXPECT_EQ(ExpAndSum(0.0F, count, row.data()), 0.0);
      EXPECT_EQ(row, std::vector<float>(static_cast<size_t>(count), 0.0F));
    }
  });
}

}  // namespace
}  // namespace qkserve
