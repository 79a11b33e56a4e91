#include "core/scoring/score_mask.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/numeric/int128.h"
#include "core/scoring/score_shape.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kQueries = 3;
constexpr int64_t kKeys = 6;

// The rule of scoring.proto, computed without overflow.
bool IsAttended(const AttentionProblem& problem, int64_t query, int64_t key) {
  const absl::int128 distance = absl::int128(key) - (absl::int128(query) + problem.offset);
  return (!problem.is_causal || distance <= 0) &&
         (problem.window_left < 0 || distance >= -absl::int128(problem.window_left)) &&
         (problem.window_right < 0 || distance <= problem.window_right);
}

void ExpectAsDefined(const AttentionProblem& problem) {
  const ScoreShape shape = MakeScoreShape("queries", {kQueries, 1}, "keys", {kKeys, 1}).value();
  const ScoreMask mask(problem, shape);
  for (int64_t query = 0; query < kQueries; ++query) {
    const KeyRange range = mask.Range(0, query);
    ASSERT_LE(0, range.begin);
    ASSERT_LE(range.begin, range.end);
    ASSERT_LE(range.end, kKeys);
    std::vector<float> scores(kKeys, 1.0F);
    mask.ApplyStages(0, query, 0, kKeys, scores.data());
    for (int64_t key = 0; key < kKeys; ++key) {
      const bool expected = IsAttended(problem, query, key);
      ASSERT_EQ(range.begin <= key && key < range.end, expected)
          << "offset " << problem.offset << " left " << problem.window_left << " right "
          << problem.window_right << " query " << query << " key " << key;
      ASSERT_EQ(std::isfinite(scores[static_cast<size_t>(key)]), expected);
    }
  }
}

TEST(ScoreMaskTest, OffsetsAndWindowsMeanTheSameToTheEndsOfInt64) {
  std::vector<int64_t> ends = {kMin, kMax, 0};
  for (const int exponent : {31, 32, 60, 61, 62}) {
    ends.push_back(int64_t{1} << exponent);
    ends.push_back(-(int64_t{1} << exponent));
  }
  std::vector<int64_t> numbers;
  for (const int64_t end : ends) {
    for (int64_t near = -8; near <= 8; ++near) {
      int64_t number = 0;
      if (!__builtin_add_overflow(end, near, &number)) numbers.push_back(number);
    }
  }
  AttentionProblem problem;
  problem.output = Output::kMasked;
  for (const int64_t offset : numbers) {
    problem.offset = offset;
    for (const int64_t window : numbers) {
      if (window < -1) continue;
      for (const bool is_causal : {false, true}) {
        problem.is_causal = is_causal;
        problem.window_left = window;
        problem.window_right = -1;
        ExpectAsDefined(problem);
        problem.window_left = -1;
        problem.window_right = window;
        ExpectAsDefined(problem);
        problem.window_left = window;
        ExpectAsDefined(problem);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace qkserve
