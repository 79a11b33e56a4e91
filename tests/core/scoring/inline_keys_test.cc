#include "core/scoring/inline_keys.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/kernels/blas.h"
#include "core/scoring/limits.h"
#include "core/scoring/score_cost.h"
#include "core/scoring/score_pass.h"
#include "core/scoring/top_k.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_tensor.h"
#include "tests/support/run_pass.h"

namespace qkserve {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Answer {
  Tensor result, indices, log_sum_exp;
  int64_t tiles = 0;
};

// Runs all tiles on `threads` threads. Each thread takes the next tile.
Answer Compute(const AttentionProblem& problem, int threads = 1) {
  const ScoreShape shape =
      MakeScoreShape("queries", problem.queries.shape, "keys", problem.keys.shape).value();
  Shape result_shape = shape.result;
  if (problem.output == Output::kContext) result_shape.back() = problem.values->shape.back();
  if (problem.output == Output::kTopK) result_shape.back() = problem.top_k;
  Answer answer;
  answer.result = EmptyTensor(problem.result_type, result_shape);
  answer.indices = EmptyTensor(DataType::kInt32, result_shape);
  answer.log_sum_exp =
      EmptyTensor(DataType::kFloat32, Shape(shape.result.begin(), shape.result.end() - 1));
  const AttentionResults results = {
      .result = answer.result.data.data(),
      .indices = reinterpret_cast<int32_t*>(answer.indices.data.data()),
      .log_sum_exp = problem.output == Output::kTopK
                         ? nullptr
                         : reinterpret_cast<float*>(answer.log_sum_exp.data.data())};
  answer.tiles = RunInline({problem, shape, results}, threads);
  return answer;
}

bool SameBits(const Tensor& a, const Tensor& b) {
  return a.shape == b.shape && a.data.size_bytes() == b.data.size_bytes() &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size_bytes()) == 0;
}

// The inputs of one slice. A problem made from them must not outlive them.
struct Inputs {
  Tensor q, k, v;
  Inputs(int64_t n, int64_t m, int64_t d, int64_t dv, uint64_t seed)
      : q(RandomTensor(DataType::kFloat32, {n, d}, seed)),
        k(RandomTensor(DataType::kFloat32, {m, d}, seed + 1)),
        v(RandomTensor(DataType::kFloat32, {m, dv}, seed + 2)) {}
  AttentionProblem Problem(Output output) const {
    AttentionProblem problem;
    problem.queries = q.View();
    problem.keys = k.View();
    if (output == Output::kContext) problem.values = v.View();
    problem.output = output;
    problem.scale = 1.0F / std::sqrt(static_cast<float>(q.shape.back()));
    return problem;
  }
};

// Computes the context in float64, from masked scores that the core computed.
std::vector<double> ReferenceContext(const std::vector<float>& masked, const Inputs& in) {
  const auto m = static_cast<size_t>(in.k.shape[0]);
  const auto dv = static_cast<size_t>(in.v.shape[1]);
  const std::vector<float> v = ToFloats(in.v.View());
  std::vector<double> context(masked.size() / std::max<size_t>(m, 1) * dv);
  for (size_t i = 0; i < masked.size() / m; ++i) {
    double top = -kInf;
    for (size_t j = 0; j < m; ++j) top = std::max(top, static_cast<double>(masked[i * m + j]));
    double sum = 0;
    for (size_t j = 0; j < m; ++j) {
      const double score = static_cast<double>(masked[i * m + j]);
      if (score == -kInf) continue;
      const double weight = std::exp(score - top);
      sum += weight;
      for (size_t c = 0; c < dv; ++c) {
        context[i * dv + c] += weight * static_cast<double>(v[j * dv + c]);
      }
    }
    for (size_t c = 0; c < dv && sum > 0; ++c) context[i * dv + c] /= sum;
  }
  return context;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& expected, double bound) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(got[i]), expected[i], bound) << i;
  }
}

TEST(InlineKeysTest, ContextIsTheWeightedMeanOverAwkwardSizes) {
  uint64_t seed = 0;
  for (const int64_t n : {1, 3, 63, 64, 65, 127, 129, 300}) {
    for (const int64_t m : {1, 2, 511, 512, 513, 1031, 9000}) {
      SCOPED_TRACE(testing::Message() << "n=" << n << " m=" << m);
      const Inputs in(n, m, 16, 5, seed += 10);
      for (const bool is_causal : {false, true}) {
        AttentionProblem problem = in.Problem(Output::kContext);
        problem.is_causal = is_causal;
        problem.offset = is_causal ? m - n : 0;
        AttentionProblem masked = problem;
        masked.output = Output::kMasked;
        const std::vector<float> scores = ToFloats(Compute(masked).result.View());
        ExpectNear(ToFloats(Compute(problem).result.View()), ReferenceContext(scores, in), 1e-5);
      }
    }
  }
}

TEST(InlineKeysTest, WeightsSumToOneAndRowsWithoutKeysToZero) {
  const Inputs in(70, 700, 8, 1, 1);
  AttentionProblem problem = in.Problem(Output::kWeights);
  problem.is_causal = true;
  problem.offset = -5;  // the first five queries attend nothing
  const Answer answer = Compute(problem);
  const std::vector<float> weights = ToFloats(answer.result.View());
  const std::vector<float> lse = ToFloats(answer.log_sum_exp.View());
  for (size_t i = 0; i < 70; ++i) {
    const double sum =
        std::accumulate(weights.begin() + i * 700, weights.begin() + (i + 1) * 700, 0.0);
    if (i < 5) {
      EXPECT_EQ(sum, 0.0);
      EXPECT_EQ(lse[i], -kInf);
    } else {
      EXPECT_NEAR(sum, 1.0, 1e-5);
    }
    for (size_t j = i >= 5 ? i - 4 : 0; j < 700; ++j) EXPECT_EQ(weights[i * 700 + j], 0.0F);
  }
}

TEST(InlineKeysTest, AnyNumberOfThreadsGivesTheSameBits) {
  const Inputs in(200, 40000, 32, 24, 1);
  for (const Output output : {Output::kContext, Output::kTopK, Output::kWeights}) {
    AttentionProblem problem = in.Problem(output);
    problem.top_k = output == Output::kTopK ? 17 : 0;
    const Answer alone = Compute(problem);
    ASSERT_GT(alone.tiles, 3);
    for (const int threads : {2, 5}) {
      const Answer shared = Compute(problem, threads);
      EXPECT_TRUE(SameBits(alone.result, shared.result));
      if (output == Output::kTopK) {
        EXPECT_TRUE(SameBits(alone.indices, shared.indices));
      }
    }
  }
}

TEST(InlineKeysTest, KeysAreSplitWhereRowsAreFew) {
  const Inputs in(4, 200000, 64, 64, 1);
  const AttentionProblem problem = in.Problem(Output::kContext);
  EXPECT_GT(Compute(problem).tiles, 3);
}

TEST(InlineKeysTest, TopKIsChargedForAllTilesThatRunAtATime) {
  // Selecting the ten best of many keys needs room for 42 entries.
  constexpr int64_t kRoomBytes = 42 * int64_t{sizeof(TopEntry)};
  struct Charge {
    int64_t bytes, tiles;
  };
  const auto charge = [](const Inputs& in) {
    AttentionProblem problem = in.Problem(Output::kTopK);
    problem.top_k = 10;
    const ScoreShape shape =
        MakeScoreShape("queries", problem.queries.shape, "keys", problem.keys.shape).value();
    const auto keys = std::make_shared<InlineKeys>(problem, shape);
    const ScoreRequest request = {problem, shape, {}};
    const ScoreRequest* const requests[] = {&request};
    return Charge{StateBytes(*keys, problem, shape),
                  MakeScorePass(keys, requests).value()->tile_count()};
  };
  const Charge small = charge(Inputs(3, 100, 4, 1, 1));
  EXPECT_EQ(small.tiles, 1);
  EXPECT_EQ(small.bytes, 3 * kRoomBytes);
  const Charge split = charge(Inputs(1, 1'000'000, 4, 1, 1));
  ASSERT_GT(split.tiles, 1);
  EXPECT_EQ(split.bytes, std::min<int64_t>(split.tiles, 1 + 2 * BlasCallsMax()) * kRoomBytes);
  const Charge many_blocks = charge(Inputs(10'000, 100, 4, 1, 1));
  ASSERT_GT(many_blocks.tiles, 1);
  EXPECT_LE(many_blocks.bytes, BlasCallsMax() * kBlockRows * kRoomBytes);
}

TEST(InlineKeysTest, LackOfMemoryForPartialResultsShowsBeforeTheFirstTile) {
  Inputs in(1, 2048, 1, 1, 1);
  AttentionProblem problem = in.Problem(Output::kContext);
  // No code reads the values, so their shape may be false.
  problem.values->shape.back() = int64_t{1} << 45;
  const ScoreShape shape =
      MakeScoreShape("queries", problem.queries.shape, "keys", problem.keys.shape).value();
  const ScoreRequest request = {problem, shape, {}};
  const ScoreRequest* const requests[] = {&request};
  const absl::Status status =
      MakeScorePass(std::make_shared<InlineKeys>(problem, shape), requests).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST(InlineKeysTest, TopKIsTheSortOfTheMaskedScores) {
  const Inputs in(20, 30000, 16, 1, 5);
  AttentionProblem problem = in.Problem(Output::kTopK);
  problem.window_left = 15000;
  problem.offset = 29000;
  problem.top_k = 50;
  const Answer answer = Compute(problem);
  problem.output = Output::kMasked;
  const std::vector<float> masked = ToFloats(Compute(problem).result.View());
  const std::vector<float> scores = ToFloats(answer.result.View());
  const auto* indices = reinterpret_cast<const int32_t*>(answer.indices.data.data());
  for (size_t i = 0; i < 20; ++i) {
    std::vector<int32_t> order(30000);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return masked[i * 30000 + a] > masked[i * 30000 + b];
    });
    for (size_t j = 0; j < 50; ++j) {
      // TOP_K and MASKED multiply in different block sizes, so scores may differ in their last
      // bits.
      EXPECT_NEAR(scores[i * 50 + j], masked[i * 30000 + order[j]], 1e-4);
      EXPECT_NEAR(masked[i * 30000 + indices[i * 50 + j]], scores[i * 50 + j], 1e-4);
    }
  }
}

TEST(InlineKeysTest, TopKBeyondTheAttendedKeysIsPadded) {
  const Inputs in(3, 4, 8, 1, 1);
  AttentionProblem problem = in.Problem(Output::kTopK);
  problem.is_causal = true;
  problem.top_k = 6;
  const Answer answer = Compute(problem);
  const std::vector<float> scores = ToFloats(answer.result.View());
  const auto* indices = reinterpret_cast<const int32_t*>(answer.indices.data.data());
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = i + 1; j < 6; ++j) {
      EXPECT_EQ(indices[i * 6 + j], -1);
      EXPECT_EQ(scores[i * 6 + j], -kInf);
    }
    EXPECT_GE(indices[i * 6 + i], 0);
  }
}

TEST(InlineKeysTest, MaskedNanNeverLeaks) {
  Inputs in(40, 900, 8, 6, 1);
  AttentionProblem problem = in.Problem(Output::kContext);
  std::vector<char> attend(900, 1);
  attend[17] = attend[600] = 0;
  problem.mask = TensorView{DataType::kBool, {900}, reinterpret_cast<std::byte*>(attend.data())};
  for (const Output output : {Output::kContext, Output::kWeights, Output::kTopK}) {
    problem.output = output;
    problem.top_k = output == Output::kTopK ? 5 : 0;
    const Answer clean = Compute(problem);
    for (const int64_t key : {17, 600}) {
      std::fill_n(reinterpret_cast<float*>(in.k.data.data()) + key * 8, 8, kNan);
      std::fill_n(reinterpret_cast<float*>(in.v.data.data()) + key * 6, 6, kNan);
    }
    const std::vector<float> before = ToFloats(clean.result.View());
    const std::vector<float> after = ToFloats(Compute(problem).result.View());
    for (size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(before[i], after[i], 1e-5) << i;
  }
}

TEST(InlineKeysTest, UnmaskedNanStaysInItsRow) {
  Inputs in(5, 600, 8, 4, 1);
  reinterpret_cast<float*>(in.q.data.data())[2 * 8] = kNan;
  const std::vector<float> context = ToFloats(Compute(in.Problem(Output::kContext)).result.View());
  for (size_t i = 0; i < context.size(); ++i) EXPECT_EQ(std::isnan(context[i]), i / 4 == 2) << i;
}

TEST(InlineKeysTest, MaskingIsRemoving) {
  const Inputs in(30, 1000, 16, 7, 3);
  AttentionProblem problem = in.Problem(Output::kContext);
  const int64_t lengths[] = {400};
  problem.key_lengths = lengths;
  const std::vector<float> masked = ToFloats(Compute(problem).result.View());
  problem.key_lengths = {};
  problem.keys.shape = {400, 16};
  problem.values->shape = {400, 7};
  const std::vector<float> removed = ToFloats(Compute(problem).result.View());
  for (size_t i = 0; i < masked.size(); ++i) EXPECT_NEAR(masked[i], removed[i], 1e-5);
}

TEST(InlineKeysTest, PermutingKeysPermutesWeights) {
  const Inputs in(10, 777, 16, 1, 3);
  AttentionProblem problem = in.Problem(Output::kWeights);
  const std::vector<float> weights = ToFloats(Compute(problem).result.View());
  std::vector<size_t> order(777);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(1);
  std::shuffle(order.begin(), order.end(), random);
  Tensor shuffled = EmptyTensor(DataType::kFloat32, {777, 16});
  for (size_t j = 0; j < 777; ++j) {
    std::memcpy(shuffled.data.data() + j * 64, in.k.data.data() + order[j] * 64, 64);
  }
  problem.keys = shuffled.View();
  const std::vector<float> permuted = ToFloats(Compute(problem).result.View());
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 777; ++j) {
      EXPECT_NEAR(permuted[i * 777 + j], weights[i * 777 + order[j]], 1e-6);
    }
  }
}

TEST(InlineKeysTest, ShardsMergeWithTheirLogSumExp) {
  const Inputs in(12, 3000, 16, 5, 9);
  const AttentionProblem whole = in.Problem(Output::kContext);
  const std::vector<float> expected = ToFloats(Compute(whole).result.View());
  for (const int64_t cut : {1, 512, 1777, 2999}) {
    AttentionProblem first = whole;
    first.keys.shape = {cut, 16};
    first.values->shape = {cut, 5};
    AttentionProblem second = whole;
    second.keys = {DataType::kFloat32, {3000 - cut, 16}, in.k.data.data() + cut * 64};
    second.values = TensorView{DataType::kFloat32, {3000 - cut, 5}, in.v.data.data() + cut * 20};
    const Answer a = Compute(first);
    const Answer b = Compute(second);
    const std::vector<float> a_lse = ToFloats(a.log_sum_exp.View());
    const std::vector<float> b_lse = ToFloats(b.log_sum_exp.View());
    const std::vector<float> a_context = ToFloats(a.result.View());
    const std::vector<float> b_context = ToFloats(b.result.View());
    for (size_t i = 0; i < expected.size(); ++i) {
      const float top = std::max(a_lse[i / 5], b_lse[i / 5]);
      const float a_weight = std::exp(a_lse[i / 5] - top);
      const float b_weight = std::exp(b_lse[i / 5] - top);
      EXPECT_NEAR((a_context[i] * a_weight + b_context[i] * b_weight) / (a_weight + b_weight),
                  expected[i], 1e-5);
    }
  }
}

TEST(InlineKeysTest, WithoutKeysRowsAttendNothing) {
  const Inputs in(3, 0, 8, 2, 1);
  EXPECT_THAT(ToFloats(Compute(in.Problem(Output::kContext)).result.View()), testing::Each(0.0F));
  EXPECT_THAT(ToFloats(Compute(in.Problem(Output::kContext)).log_sum_exp.View()),
              testing::Each(-kInf));
  AttentionProblem top = in.Problem(Output::kTopK);
  top.top_k = 2;
  const Answer answer = Compute(top);
  EXPECT_THAT(ToFloats(answer.result.View()), testing::Each(-kInf));
  EXPECT_EQ(reinterpret_cast<const int32_t*>(answer.indices.data.data())[5], -1);
}

TEST(InlineKeysTest, WithoutKeysRowsAreFilledInTiles) {
  const Inputs in(3, 0, 8, 2, 1);
  AttentionProblem top = in.Problem(Output::kTopK);
  top.top_k = kFillPlaces;
  const Answer answer = Compute(top);
  EXPECT_EQ(answer.tiles, 3);
  const std::vector<float> scores = ToFloats(answer.result.View());
  EXPECT_EQ(std::count(scores.begin(), scores.end(), -kInf), 3 * kFillPlaces);
}

TEST(InlineKeysTest, ColumnsBeyondTheKeysAreFilledInTiles) {
  const Inputs in(2, 3, 8, 2, 1);
  AttentionProblem top = in.Problem(Output::kTopK);
  for (const int64_t padding : {kPaddingMax, kPaddingMax + 1, kFillPlaces}) {
    top.top_k = 3 + padding;
    const Answer answer = Compute(top);
    EXPECT_EQ(answer.tiles, padding <= kPaddingMax ? 1 : padding < kFillPlaces ? 2 : 3);
    const std::vector<float> scores = ToFloats(answer.result.View());
    const auto* indices = reinterpret_cast<const int32_t*>(answer.indices.data.data());
    for (size_t i = 0; i < scores.size(); ++i) {
      const bool is_key = static_cast<int64_t>(i) % top.top_k < 3;
      ASSERT_EQ(std::isfinite(scores[i]), is_key) << i;
      ASSERT_EQ(indices[i] >= 0, is_key) << i;
    }
  }
}

TEST(InlineKeysTest, ManyRowsOfOneKeyAreManyTiles) {
  const Inputs in(200'000, 1, 1, 1, 1);
  for (const Output output : {Output::kWeights, Output::kContext, Output::kTopK}) {
    AttentionProblem problem = in.Problem(output);
    problem.top_k = output == Output::kTopK ? 1 : 0;
    EXPECT_GT(Compute(problem).tiles, 50) << static_cast<int>(output);
  }
}

TEST(InlineKeysTest, GroupedHeadsReadTheirKeysAndValues) {
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 6, 3, 8}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {2, 2, 50, 8}, 2);
  const Tensor v = RandomTensor(DataType::kFloat32, {2, 2, 50, 4}, 3);
  AttentionProblem problem;
  problem.queries = q.View();
  problem.keys = k.View();
  problem.values = v.View();
  problem.output = Output::kContext;
  const std::vector<float> grouped = ToFloats(Compute(problem).result.View());
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t h = 0; h < 6; ++h) {
      AttentionProblem one;
      const int64_t kv = b * 2 + h / 3;
      one.queries = {DataType::kFloat32, {3, 8}, q.data.data() + (b * 6 + h) * 24 * 4};
      one.keys = {DataType::kFloat32, {50, 8}, k.data.data() + kv * 400 * 4};
      one.values = TensorView{DataType::kFloat32, {50, 4}, v.data.data() + kv * 200 * 4};
      one.output = Output::kContext;
      const std::vector<float> alone = ToFloats(Compute(one).result.View());
      for (size_t i = 0; i < 12; ++i) {
        EXPECT_NEAR(grouped[static_cast<size_t>(b * 6 + h) * 12 + i], alone[i], 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace qkserve
