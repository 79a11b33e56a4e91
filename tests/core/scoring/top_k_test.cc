#include "core/scoring/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/kernels/row_kernels.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Returns the best keys. Their scores are offered in pieces of `step`.
std::vector<int32_t> Best(const std::vector<float>& scores, int64_t k, int64_t step = 1 << 30) {
  const auto count = static_cast<int64_t>(scores.size());
  std::vector<TopEntry> entries(static_cast<size_t>(TopK::Room(k, count)));
  TopK best(entries.data(), k, count);
  for (int64_t key = 0; key < count; key += step) {
    best.Offer(scores.data() + key, std::min(step, count - key), key);
  }
  entries.resize(static_cast<size_t>(best.Select()));
  std::sort(entries.begin(), entries.end(), IsAhead);
  std::vector<int32_t> keys;
  for (const TopEntry& entry : entries) keys.push_back(entry.key);
  return keys;
}

// Sorts all keys and returns the first k.
std::vector<int32_t> Sorted(const std::vector<float>& scores, int64_t k) {
  std::vector<TopEntry> all;
  for (size_t j = 0; j < scores.size(); ++j) {
    if (scores[j] != -kInf) all.push_back({scores[j], static_cast<int32_t>(j)});
  }
  std::sort(all.begin(), all.end(), IsAhead);
  all.resize(std::min(all.size(), static_cast<size_t>(k)));
  std::vector<int32_t> keys;
  for (const TopEntry& entry : all) keys.push_back(entry.key);
  return keys;
}

// Rows of scores that are difficult to select from.
std::vector<std::vector<float>> AwkwardScores(size_t count, std::mt19937& random) {
  std::vector<std::vector<float>> rows;
  const auto add = [&](auto score) {
    std::vector<float>& row = rows.emplace_back(count);
    for (size_t j = 0; j < count; ++j) row[j] = score(j);
  };
  add([](size_t) { return 0.0F; });
  add([](size_t j) { return j % 3 == 0 ? -0.0F : 0.0F; });
  add([](size_t) { return kNan; });
  add([](size_t) { return -kInf; });
  add([](size_t) { return kInf; });
  add([](size_t j) { return static_cast<float>(j); });
  add([](size_t j) { return -static_cast<float>(j); });
  add([](size_t j) { return static_cast<float>(j / 7); });
  add([&](size_t j) { return j + 1 == count ? 1.0F : kNan; });
  add([](size_t j) { return j % 2 == 0 ? kNan : static_cast<float>(j); });
  add([&](size_t) { return static_cast<float>(random() % 5); });
  add([&](size_t) { return random() % 2 == 0 ? -kInf : static_cast<float>(random() % 1000); });
  add([&](size_t) {
    const uint32_t kind = random() % 20;
    return kind == 0 ? kNan : kind == 1 ? -kInf : static_cast<float>(random() % 50);
  });
  return rows;
}

TEST(TopKTest, KeepsTheBestInOrder) {
  EXPECT_EQ(Best({1, 5, 3, 4, 2}, 3), (std::vector<int32_t>{1, 3, 2}));
}

TEST(TopKTest, TiesGoByLowerIndex) {
  EXPECT_EQ(Best({7, 7, 7, 7}, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(Best({1, 7, 2, 7, 7}, 2), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(Best({0.0F, -0.0F, 0.0F}, 3), (std::vector<int32_t>{0, 1, 2}));
}

TEST(TopKTest, WhatIsNotAttendedIsNeverKept) {
  EXPECT_EQ(Best({-kInf, 1, -kInf}, 3), (std::vector<int32_t>{1}));
}

TEST(TopKTest, NanIsBelowEveryNumber) {
  EXPECT_EQ(Best({kNan, -1e30F, kInf, kNan}, 3), (std::vector<int32_t>{2, 1, 0}));
  EXPECT_EQ(Best({kNan, kNan, 3}, 1), (std::vector<int32_t>{2}));
}

TEST(TopKTest, AgreesWithASortOfAll) {
  std::mt19937 random(1);
  for (const size_t count : {1, 15, 16, 17, 63, 100, 1000, 3000}) {
    for (const std::vector<float>& scores : AwkwardScores(count, random)) {
      for (const int64_t k : {1, 2, 3, 31, 32, 33, 100, 999, 2999, 5000}) {
        for (const int64_t step : {1 << 30, 512, 7}) {
          ASSERT_EQ(Best(scores, k, step), Sorted(scores, k)) << count << " " << k << " " << step;
        }
      }
    }
  }
}

TEST(TopKTest, PartsMergeInAnyOrder) {
  std::mt19937 random(2);
  constexpr int64_t kCount = 1000;
  constexpr int64_t kPart = 128;
  for (const std::vector<float>& scores : AwkwardScores(kCount, random)) {
    for (const int64_t k : {1, 3, 50, 200, 2000}) {
      std::vector<TopEntry> room(static_cast<size_t>(TopK::Room(k, kCount)));
      TopK all(room.data(), k, kCount);
      for (int64_t key = kCount / kPart * kPart; key >= 0; key -= kPart) {
        const int64_t count = std::min(kPart, kCount - key);
        std::vector<TopEntry> part_room(static_cast<size_t>(TopK::Room(k, count)));
        TopK part(part_room.data(), k, count);
        part.Offer(scores.data() + key, count, key);
        const int64_t size = part.Select();
        std::shuffle(part.entries(), part.entries() + size, random);
        all.Merge(part.entries(), size);
      }
      room.resize(static_cast<size_t>(all.Select()));
      std::sort(room.begin(), room.end(), IsAhead);
      std::vector<int32_t> keys;
      for (const TopEntry& entry : room) keys.push_back(entry.key);
      ASSERT_EQ(keys, Sorted(scores, k)) << k;
    }
  }
}

// Equal scores cost nothing, because TakeAbove skips scores that equal the limit.
TEST(RowKernelsTest, TakeAboveTakesWhatIsAboveTheLimitInOrder) {
  std::vector<float> row(100, 1.0F);
  row[3] = row[40] = 2.0F;
  row[17] = kNan;
  row[99] = kInf;
  TopEntry out[100];
  int64_t taken = 0;
  EXPECT_EQ(TakeAbove(1.0F, 100, row.data(), 1000, 100, out, taken), 100);
  ASSERT_EQ(taken, 3);
  EXPECT_EQ(out[0].key, 1003);
  EXPECT_EQ(out[1].key, 1040);
  EXPECT_EQ(out[2].key, 1099);
  EXPECT_EQ(TakeAbove(-kInf, 100, row.data(), 0, 100, out, taken), 100);
  EXPECT_EQ(taken, 99);
  // TakeAbove stops if the room might not be enough. The next call continues there.
  int64_t seen = 0;
  int64_t all = 0;
  while (seen < 100) {
    seen += TakeAbove(-kInf, 100 - seen, row.data() + seen, seen, kTakeStep, out, taken);
    ASSERT_GT(taken, 0);
    ASSERT_LE(taken, kTakeStep);
    all += taken;
  }
  EXPECT_EQ(all, 99);
}

}  // namespace
}  // namespace qkserve
