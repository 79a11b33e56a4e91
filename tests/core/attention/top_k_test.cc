#include "core/attention/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<int32_t> Best(const std::vector<float>& scores, int64_t k) {
  std::vector<TopEntry> entries(static_cast<size_t>(k));
  TopK best(entries.data(), k, 0);
  best.Offer(scores.data(), static_cast<int64_t>(scores.size()), 0);
  entries.resize(static_cast<size_t>(best.size()));
  std::sort(entries.begin(), entries.end(), IsAhead);
  std::vector<int32_t> keys;
  for (const TopEntry& entry : entries) keys.push_back(entry.key);
  return keys;
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
  for (int round = 0; round < 200; ++round) {
    std::vector<float> scores(1 + random() % 300);
    for (float& score : scores) {
      const uint32_t kind = random() % 20;
      score = kind == 0 ? kNan : kind == 1 ? -kInf : static_cast<float>(random() % 50);
    }
    std::vector<TopEntry> all;
    for (size_t j = 0; j < scores.size(); ++j) {
      if (scores[j] != -kInf) all.push_back({scores[j], static_cast<int32_t>(j)});
    }
    std::sort(all.begin(), all.end(), IsAhead);
    const int64_t k = 1 + random() % 60;
    std::vector<int32_t> expected;
    for (const TopEntry& entry : all) {
      if (static_cast<int64_t>(expected.size()) < k) expected.push_back(entry.key);
    }
    ASSERT_EQ(Best(scores, k), expected);
  }
}

}  // namespace
}  // namespace qkserve
