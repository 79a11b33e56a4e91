#include "core/key_sets/storage/merger.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_set_directory_fixture.h"

namespace qkserve {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Appends, and merges when the policy says so. Returns the bytes that merging wrote.
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

TEST(SegmentsToMergeTest, LeavesFewSegmentsAlone) {
  EXPECT_EQ(SegmentsToMerge({}), 0U);
  EXPECT_EQ(SegmentsToMerge(std::vector<int64_t>(15, 8)), 0U);
  EXPECT_EQ(SegmentsToMerge(std::vector<int64_t>(16, 8)), 16U);
}

TEST(SegmentsToMergeTest, DoesNotRewriteALargeBaseForSmallAppends) {
  std::vector<int64_t> segments = {512 << 20};
  segments.resize(16, 8192);
  EXPECT_EQ(SegmentsToMerge(segments), 0U);
  segments.push_back(8192);
  EXPECT_EQ(SegmentsToMerge(segments), 16U);
}

TEST(SegmentsToMergeTest, RewritesTheBaseWhenThreeTimesAsMuchWasAppended) {
  std::vector<int64_t> segments = {5 * 100};
  segments.resize(16, 100);
  EXPECT_EQ(SegmentsToMerge(segments), 16U);
  segments[0] = 5 * 100 + 1;
  EXPECT_EQ(SegmentsToMerge(segments), 0U);
}

TEST(SegmentsToMergeTest, EqualAppendsAreWrittenAgainFewTimes) {
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

TEST(SegmentsToMergeTest, AnySizesLeaveFewSegmentsAndLittleWork) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<int64_t> segments;
    int64_t written = 0;
    int64_t appended = 0;
    for (int i = 0; i < 20000; ++i) {
      // Even seeds: powers of two up to 2^24, all equally likely. Odd seeds: 64, and at regular
      // intervals 2^20.
      const int64_t bytes = seed % 2 == 0 ? int64_t{1} << (random() % 25)
                                          : (i % (2 + seed) == 0 ? int64_t{1} << 20 : 64);
      appended += bytes;
      written += Append(segments, bytes);
      ASSERT_LE(segments.size(), 300U);
    }
    EXPECT_LE(written, 8 * appended);
  }
}

class MergerTest : public KeySetDirectoryFixture {};

TEST_F(MergerTest, MergingKeepsWhatIsThereAndBoundsTheSegments) {
  for (const KeySetLayout& layout : LayoutsOfAllKinds()) {
    const auto directory = Open();
    int64_t version = directory->last_version();
    std::vector<Part> parts = {{.seed = 1, .rows = 500}};
    ASSERT_TRUE(Put(*directory, "a", ++version, parts[0], layout).ok());
    const auto first = *directory->Load("a", &budget_, nullptr);
    size_t merges = 0;
    for (uint64_t i = 0; i < 40; ++i) {
      parts.push_back({.seed = i, .rows = static_cast<int64_t>(i % 3)});
      ASSERT_TRUE(Append(*directory, "a", ++version, parts.back(), layout).ok());
      const auto merged = MergeSegments(*directory, "a");
      ASSERT_TRUE(merged.ok()) << merged.status();
      merges += *merged ? 1 : 0;
    }
    EXPECT_GE(merges, 2U);
    EXPECT_LE(FilesIn("/sets/a").size(), 20U);
    EXPECT_EQ(*directory->StoredVersion("a"), version);
    ExpectContents(*directory, "a", parts, layout);
    const auto grown = directory->Load("a", &budget_, first);
    ASSERT_TRUE(grown.ok()) << grown.status();
    EXPECT_TRUE(Contents(**grown) == Expected(parts, layout));
  }
}

TEST_F(MergerTest, MergingDoesNotHideDamage) {
  const auto directory = Open();
  ASSERT_TRUE(Put(*directory, "a", 1, {1, 10}).ok());
  for (int64_t version = 2; version <= 17; ++version) {
    ASSERT_TRUE(Append(*directory, "a", version, {1, 10}).ok());
  }
  const std::string file = "/sets/a/segment-5-40-50.safetensors";
  std::string contents = Read(file);
  contents.back() ^= 1;
  Write(file, contents);
  const absl::Status status = MergeSegments(*directory, "a").status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(status.message(), HasSubstr(file));
  EXPECT_THAT(FilesIn("/sets"), IsEmpty());
}

// A reader has seen an append that failed, and missed a later merge. The reader must not take the
// rows of the failed append for rows of the next append.
TEST_F(MergerTest, AMergeDoesNotHideThatAnAppendFailed) {
  int64_t failed = 0;
  for (int64_t operation = 0; operation < 20; ++operation) {
    files_->Rename("/sets", absl::StrCat("/old-", operation)).IgnoreError();
    const auto directory = Open();
    const auto reader = Open(Mode::kReader);
    std::vector<Part> parts = {{1, 10}};
    int64_t version = 1;
    ASSERT_TRUE(Put(*directory, "a", version, parts[0]).ok());
    for (uint64_t i = 0; i < 20; ++i) {
      parts.push_back({i, 1});
      ASSERT_TRUE(Append(*directory, "a", ++version, parts.back()).ok());
    }
    memory_.FailAt(memory_.operations() + operation, /*effect=*/true);
    if (Append(*directory, "a", ++version, {100, 3}).ok()) break;
    ++failed;
    const auto seen = reader->Load("a", &budget_, nullptr);
    ASSERT_TRUE(seen.ok()) << seen.status();
    ASSERT_TRUE(*MergeSegments(*directory, "a"));
    parts.push_back({101, 5});
    ASSERT_TRUE(Append(*directory, "a", ++version, parts.back()).ok());
    const auto next = reader->Load("a", &budget_, *seen);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_TRUE(Contents(**next) == Expected(parts)) << operation;
  }
  EXPECT_GT(failed, 3);
}

}  // namespace
}  // namespace qkserve
