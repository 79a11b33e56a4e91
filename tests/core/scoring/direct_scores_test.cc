#include "core/scoring/direct_scores.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/kernels/block_product.h"
#include "core/scoring/inline_keys.h"
#include "core/scoring/limits.h"
#include "core/scoring/score_cost.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_tensor.h"
#include "tests/support/reference.h"

namespace qkserve {
namespace {

ScoreShape ShapeOf(const Shape& q, const Shape& k) {
  return MakeScoreShape("queries", q, "keys", k).value();
}

int64_t TilesOf(const Shape& q, const Shape& k) {
  return DirectScores::CutOf(ShapeOf(q, k)).tile_count;
}

// Runs all tiles into memory full of NaN, in the given order or each on its own thread.
Tensor Compute(const AttentionProblem& problem, const std::vector<int64_t>& order = {},
               bool on_threads = false) {
  const ScoreShape shape = ShapeOf(problem.queries.shape, problem.keys.shape);
  Tensor result = EmptyTensor(problem.result_type, shape.result);
  if (result.data.size_bytes() > 0) {
    std::memset(result.data.data(), 0xFF, result.data.size_bytes());
  }
  const ScoreRequest request = {problem, shape, {.result = result.data.data()}};
  DirectScores pass(request, DirectScores::CutOf(shape));
  for (int64_t tile = 0; order.empty() && tile < pass.tile_count(); ++tile) {
    EXPECT_TRUE(pass.RunTile(tile).ok());
  }
  std::vector<std::thread> threads;
  for (const int64_t tile : order) {
    const auto run = [&pass, tile] { EXPECT_TRUE(pass.RunTile(tile).ok()); };
    if (on_threads) {
      threads.emplace_back(run);
    } else {
      run();
    }
  }
  for (std::thread& thread : threads) thread.join();
  return result;
}

bool SameBits(const Tensor& a, const Tensor& b) {
  return a.shape == b.shape && a.data.size_bytes() == b.data.size_bytes() &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size_bytes()) == 0;
}

TEST(DirectScoresTest, KnownAnswer) {
  const std::vector<float> q = {1, 2, 3, -1, 0, 1};
  const std::vector<float> k = {1, 1, 1, 2, 0, -2};
  const AttentionProblem problem = {
      .queries = {DataType::kFloat32, {2, 3}, reinterpret_cast<const std::byte*>(q.data())},
      .keys = {DataType::kFloat32, {2, 3}, reinterpret_cast<const std::byte*>(k.data())},
      .scale = 0.5F};
  EXPECT_THAT(ToFloats(Compute(problem).View()), testing::ElementsAre(3, -2, 0, -2));
}

struct ShapeCase {
  Shape queries, keys;
};

// Awkward sizes (1, primes, tile sizes and their neighbours), and every kind of broadcast.
std::vector<ShapeCase> AwkwardShapes() {
  return {
      {{1, 1}, {1, 1}},
      {{1, 7}, {1, 7}},
      {{1, 64}, {kTileKeys + 1, 64}},
      {{17, 13}, {31, 13}},
      {{kTileRows - 1, 3}, {kTileKeys - 1, 3}},
      {{kTileRows, 16}, {kTileKeys, 16}},
      {{kTileRows + 1, 5}, {kTileKeys + 1, 5}},
      {{2 * kTileRows + 3, 2}, {3, 2}},
      {{2, 1}, {5000, 1}},
      {{700, 33}, {1, 33}},
      {{3, 9, 5}, {3, 1, 5}},
      {{3, kDepthChunk - 1}, {4, kDepthChunk - 1}},
      {{3, kDepthChunk + 1}, {4, kDepthChunk + 1}},
      {{2, 5 * kDepthChunk + 7}, {2, 5 * kDepthChunk + 7}},
      {{130, 1031}, {257, 1031}},
      {{5, 3, 4}, {5, 6, 4}},
      {{5, 3, 4}, {1, 6, 4}},
      {{1, 3, 4}, {5, 6, 4}},
      {{2, 6, 3, 8}, {2, 6, 5, 8}},
      {{2, 6, 3, 8}, {2, 3, 5, 8}},
      {{2, 6, 3, 8}, {1, 3, 5, 8}},
      {{2, 6, 3, 8}, {2, 1, 5, 8}},
      {{2, 6, 3, 8}, {1, 1, 5, 8}},
      {{1, 6, 3, 8}, {4, 2, 5, 8}},
      {{1, 1, 3, 8}, {4, 2, 5, 8}},
      {{4, 1, 3, 8}, {1, 2, 5, 8}},
      {{700, 1, 1, 16}, {700, 1, 3, 16}},
      {{3, 0}, {4, 0}},
      {{0, 4}, {5, 4}},
      {{2, 3, 4}, {2, 0, 4}},
  };
}

struct Types {
  DataType queries, keys, result;
};

std::string TypesName(const testing::TestParamInfo<Types>& info) {
  return absl::StrCat(DataTypeName(info.param.queries), "_", DataTypeName(info.param.keys), "_",
                      DataTypeName(info.param.result));
}

class DirectScoresTypesTest : public testing::TestWithParam<Types> {};
INSTANTIATE_TEST_SUITE_P(
    Types, DirectScoresTypesTest,
    testing::Values(Types{DataType::kFloat32, DataType::kFloat32, DataType::kFloat32},
                    Types{DataType::kFloat16, DataType::kFloat16, DataType::kFloat32},
                    Types{DataType::kBfloat16, DataType::kBfloat16, DataType::kBfloat16},
                    Types{DataType::kFloat32, DataType::kFloat16, DataType::kFloat16},
                    Types{DataType::kBfloat16, DataType::kFloat32, DataType::kFloat32}),
    TypesName);

TEST_P(DirectScoresTypesTest, AgreesWithTheReferenceOverAwkwardShapes) {
  const Types& types = GetParam();
  uint64_t seed = 1;
  for (const ShapeCase& shapes : AwkwardShapes()) {
    SCOPED_TRACE(ShapeString(shapes.queries) + " x " + ShapeString(shapes.keys));
    const Tensor q = RandomTensor(types.queries, shapes.queries, ++seed);
    const Tensor k = RandomTensor(types.keys, shapes.keys, ++seed);
    const AttentionProblem problem = {
        .queries = q.View(), .keys = k.View(), .scale = 0.3F, .result_type = types.result};
    const ReferenceScores reference =
        ComputeReference(problem.queries, problem.keys, static_cast<double>(problem.scale));
    EXPECT_EQ(CompareToReference(Compute(problem).View(), reference, shapes.queries.back()), "");
  }
}

TEST(DirectScoresTest, TilesGiveTheSameBitsInAnyOrderAndOnAnyThreads) {
  const Tensor q = RandomTensor(DataType::kFloat32, {600, 70}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {2100, 70}, 2);
  const AttentionProblem problem = {.queries = q.View(), .keys = k.View()};
  std::vector<int64_t> order(static_cast<size_t>(TilesOf(q.shape, k.shape)));
  ASSERT_GT(order.size(), 3);
  const Tensor in_order = Compute(problem);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::mt19937 random(3);
  std::shuffle(order.begin(), order.end(), random);
  EXPECT_TRUE(SameBits(in_order, Compute(problem, order)));
  EXPECT_TRUE(SameBits(in_order, Compute(problem, order, true)));
}

TEST(DirectScoresTest, NoTileCostsMoreThanTheLimit) {
  for (const ShapeCase& shapes : std::vector<ShapeCase>{{{4096, 1024}, {4096, 1024}},
                                                        {{1024, 1024}, {1024, 1024}},
                                                        {{1, 768}, {1000000, 768}},
                                                        {{1, 2}, {10000000, 2}},
                                                        {{10000000, 2}, {1, 2}},
                                                        {{1, 5000000}, {13, 5000000}},
                                                        {{1000, 128, 128}, {1000, 128, 128}},
                                                        {{256, 100000}, {256, 100000}}}) {
    const ScoreShape s = ShapeOf(shapes.queries, shapes.keys);
    const auto tiles = static_cast<double>(TilesOf(shapes.queries, shapes.keys));
    const double all = static_cast<double>(s.products * s.ProductRows()) *
                       static_cast<double>(s.m) * static_cast<double>(s.d);
    EXPECT_GE(tiles, all / kTileMultiplyAdds) << ShapeString(shapes.queries);
    // The number of tiles is limited, too, because handing out a tile takes time.
    const double read = static_cast<double>(s.products * (s.ProductRows() + s.m) * s.d);
    EXPECT_LE(tiles, 4 + 8 * std::max({all / static_cast<double>(kTileMultiplyAddsMin),
                                       read / static_cast<double>(kTileElements),
                                       static_cast<double>(s.products * s.ProductRows() * s.m) /
                                           static_cast<double>(kTileRows * kTileKeys)}))
        << ShapeString(shapes.queries);
  }
}

TEST(DirectScoresTest, SmallRequestsAreOneTile) {
  EXPECT_EQ(TilesOf({16, 64}, {128, 64}), 1);
  EXPECT_EQ(TilesOf({8, 4, 16, 64}, {8, 4, 16, 64}), 1);
  EXPECT_EQ(TilesOf({0, 64}, {128, 64}), 1);
}

TEST(DirectScoresTest, NanAndInfinityTouchTheirOwnScoresOnly) {
  for (const Shape& q_shape : {Shape{1, 40}, Shape{33, 40}}) {
    const Tensor q = RandomTensor(DataType::kFloat32, q_shape, 1);
    Tensor k = RandomTensor(DataType::kFloat32, {19, 40}, 2);
    const AttentionProblem clean = {.queries = q.View(), .keys = k.View()};
    const std::vector<float> before = ToFloats(Compute(clean).View());
    auto* keys = reinterpret_cast<float*>(k.data.data());
    keys[3 * 40 + 5] = std::numeric_limits<float>::quiet_NaN();
    keys[7 * 40] = std::numeric_limits<float>::infinity();
    const std::vector<float> after = ToFloats(Compute(clean).View());
    for (size_t i = 0; i < after.size(); ++i) {
      if (i % 19 == 3) {
        EXPECT_TRUE(std::isnan(after[i]));
      } else if (i % 19 == 7) {
        EXPECT_TRUE(std::isinf(after[i]));
      } else {
        EXPECT_EQ(after[i], before[i]) << i;
      }
    }
  }
}

TEST(DirectScoresTest, AScaleOfZeroIsAFactorLikeAnyOther) {
  Tensor q = RandomTensor(DataType::kFloat32, {2, 4}, 1);
  reinterpret_cast<float*>(q.data.data())[0] = std::numeric_limits<float>::infinity();
  const Tensor k = RandomTensor(DataType::kFloat32, {3, 4}, 2);
  const std::vector<float> scores =
      ToFloats(Compute({.queries = q.View(), .keys = k.View(), .scale = 0.0F}).View());
  EXPECT_TRUE(std::isnan(scores[0]));
  EXPECT_EQ(scores[3], 0.0F);
}

TEST(DirectScoresTest, PredictedCostGrowsWithWork) {
  const auto cost = [](const Shape& q, const Shape& k) {
    const AttentionProblem problem;
    const ScoreShape shape = ShapeOf(q, k);
    return PredictCost(InlineKeys(problem, shape), problem, shape, 100).alone;
  };
  EXPECT_LT(cost({16, 64}, {128, 64}), absl::Microseconds(50));
  EXPECT_GT(cost({1024, 1024}, {1024, 1024}), absl::Milliseconds(20));
  EXPECT_GT(cost({1, 768}, {10000, 768}), absl::Milliseconds(1));
  // Reading many queries costs as much as reading many keys.
  EXPECT_GT(cost({20000, 200}, {1, 200}), absl::Milliseconds(1));
  // A million products of 1 x 1 are a million calls. They are cut into several tiles.
  EXPECT_GT(cost({1000000, 1, 1}, {1000000, 1, 1}), absl::Milliseconds(100));
  EXPECT_GT(TilesOf({1000000, 1, 1}, {1000000, 1, 1}), 100);
}

}  // namespace
}  // namespace qkserve
