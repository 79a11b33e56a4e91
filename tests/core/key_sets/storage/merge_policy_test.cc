#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "core/key_sets/storage/merger.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Appends, merging as often as the policy says. Returns the bytes that merging wrote.
int64_t Append(std::vector<int64_t>& segments, int64_t bytes) {
  segments.push_back(bytes);
  int64_t written = 0;
  while (const size_t count = SegmentsToMerge(segments)) {
    EXPECT_GE(count, kMergeSegmentsMin);
    const auto first = segments.end() - static_cast<int64_t>(count);
    const int64_t sum = std::accumulate(first, segments.end(), int64_t{0});
    segments.erase(first, segments.end());
    segments.push_back(sum);
    written += sum;
  }
  return written;
}

TEST(MergePolicyTest, LeavesFewSegmentsAlone) {
  EXPECT_EQ(SegmentsToMerge({}), 0U);
  EXPECT_EQ(SegmentsToMerge(std::vector<int64_t>(15, 8)), 0U);
  EXPECT_EQ(SegmentsToMerge(std::vector<int64_t>(16, 8)), 16U);
}

TEST(MergePolicyTest, DoesNotRewriteALargeBaseForSmallAppends) {
  std::vector<int64_t> segments = {512 << 20};
  segments.resize(16, 8192);
  EXPECT_EQ(SegmentsToMerge(segments), 0U);
  segments.push_back(8192);
  EXPECT_EQ(SegmentsToMerge(segments), 16U);
}

TEST(MergePolicyTest, RewritesTheBaseWhenThreeTimesAsMuchWasAppended) {
  std::vector<int64_t> segments = {5 * 100};
  segments.resize(16, 100);
  EXPECT_EQ(SegmentsToMerge(segments), 16U);
  segments[0] = 5 * 100 + 1;
  EXPECT_EQ(SegmentsToMerge(segments), 0U);
}

TEST(MergePolicyTest, EqualAppendsAreWrittenAgainFewTimes) {
  const int64_t base = int64_t{1} << 40;
  std::vector<int64_t> segments = {base};
  int64_t written = 0;
  size_t most = 0;
  for (int i = 0; i < 20000; ++i) {
    written += Append(segments, 1000);
    most = std::max(most, segments.size());
  }
  EXPECT_EQ(segments[0], base);
  EXPECT_LE(written, int64_t{5} * 20000 * 1000);
  EXPECT_LE(most, 32U);
}

TEST(MergePolicyTest, AnySizesLeaveFewSegmentsAndLittleWork) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<int64_t> segments;
    int64_t written = 0;
    int64_t appended = 0;
    for (int i = 0; i < 20000; ++i) {
      // Up to 2^(0..24), evenly in the exponent; or by turns small and large.
      const int64_t bytes = seed % 2 == 0 ? int64_t{1} << (random() % 25)
                                          : (i % (2 + seed) == 0 ? int64_t{1} << 20 : 64);
      appended += bytes;
      written += Append(segments, bytes);
      ASSERT_LE(segments.size(), 300U);
    }
    EXPECT_LE(written, 8 * appended);
  }
}

}  // namespace
}  // namespace qkserve
