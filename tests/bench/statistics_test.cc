#include "bench/statistics.h"

#include <cmath>

#include "gtest/gtest.h"

namespace qkserve::bench {
namespace {

// One batch has one request and the other has three, which makes four requests in all.
TEST(StatisticsTest, RequestsABatchAreTheMeanOverBatches) {
  EXPECT_DOUBLE_EQ(RequestsABatch({1, 3, 3, 3}), 2);
  EXPECT_DOUBLE_EQ(RequestsABatch({5}), 5);
  EXPECT_TRUE(std::isnan(RequestsABatch({})));
}

}  // namespace
}  // namespace qkserve::bench
