#include "core/scoring/packed_keys.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "core/kernels/blas.h"
#include "core/scoring/limits.h"
#include "core/scoring/online_softmax.h"
#include "core/scoring/score_cost.h"
#include "core/scoring/score_pass.h"
#include "core/scoring/top_k.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/key_sets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/run_pass.h"

namespace qkserve {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A request and all that it points to.
struct Asked {
  Tensor queries;
  std::optional<Tensor> mask;
  std::vector<int64_t> key_lengths;
  AttentionProblem problem;
  ScoreShape shape;
  Tensor result, indices, log_sum_exp;

  AttentionResults Results() {
    return {.result = result.data.data(),
            .indices = reinterpret_cast<int32_t*>(indices.data.data()),
            .log_sum_exp = problem.output == Output::kContext || problem.output == Output::kWeights
                               ? reinterpret_cast<float*>(log_sum_exp.data.data())
                               : nullptr};
  }
  // Allocates the results and fills them with invalid values.
  void Clear(const KeySet& key_set) {
    Shape shape_of_result = shape.result;
    if (problem.output == Output::kContext) shape_of_result.back() = *key_set.layout().dv;
    if (problem.output == Output::kTopK) shape_of_result.back() = problem.top_k;
    result = EmptyTensor(problem.result_type, shape_of_result);
    indices = EmptyTensor(DataType::kInt32, shape_of_result);
    log_sum_exp =
        EmptyTensor(DataType::kFloat32, Shape(shape.result.begin(), shape.result.end() - 1));
    for (Tensor* tensor : {&result, &indices, &log_sum_exp}) {
      if (tensor->data.size_bytes() > 0) {
        std::memset(tensor->data.data(), 0x5A, tensor->data.size_bytes());
      }
    }
  }
  bool HasBitsOf(const Asked& other) const {
    const auto same = [](const Tensor& a, const Tensor& b) {
      return a.shape == b.shape && a.data.size_bytes() == b.data.size_bytes() &&
             (a.data.size_bytes() == 0 ||
              std::memcmp(a.data.data(), b.data.data(), a.data.size_bytes()) == 0);
    };
    return same(result, other.result) && same(indices, other.indices) &&
           same(log_sum_exp, other.log_sum_exp);
  }
};

Asked Ask(const KeySet& key_set, const Shape& queries, Output output, uint64_t seed) {
  Asked asked;
  asked.queries = RandomTensor(DataType::kFloat32, queries, seed);
  asked.problem.queries = asked.queries.View();
  asked.problem.output = output;
  asked.problem.scale = 1.0F / std::sqrt(static_cast<float>(std::max<int64_t>(queries.back(), 1)));
  asked.shape =
      MakeScoreShape("queries", queries, "keys", key_set.layout().KeyShape(key_set.m())).value();
  return asked;
}

// Answers the requests in one pass. The tiles run in any order on `threads` threads.
void Answer(const std::shared_ptr<const KeySet>& key_set, const std::vector<Asked*>& asked,
            int threads = 1) {
  std::vector<ScoreRequest> requests;
  requests.reserve(asked.size());
  std::vector<const ScoreRequest*> pointers;
  for (Asked* one : asked) {
    one->Clear(*key_set);
    requests.push_back({one->problem, one->shape, one->Results()});
    pointers.push_back(&requests.back());
  }
  RunPass(key_set, pointers, threads);
}

// Answers the same request with inline keys, which have their own tests and reference.
void AnswerInline(const Tensor& keys, const std::optional<Tensor>& values, const KeySet& key_set,
                  Asked& asked) {
  asked.Clear(key_set);
  AttentionProblem problem = asked.problem;
  problem.keys = keys.View();
  if (problem.output == Output::kContext) problem.values = values->View();
  RunInline({problem, asked.shape, asked.Results()});
}

std::unique_ptr<Pass> PassOf(const std::shared_ptr<const KeySet>& key_set,
                             absl::Span<const ScoreRequest* const> requests) {
  return MakeScorePass(key_set, requests).value();
}

KeyCut CutOf(const std::shared_ptr<const KeySet>& key_set) { return key_set->key_cut(); }

void ExpectClose(const Tensor& got, const Tensor& expected, float bound) {
  const std::vector<float> a = ToFloats(got.View());
  const std::vector<float> b = ToFloats(expected.View());
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i])) {
      ASSERT_TRUE(std::isnan(a[i])) << i;
    } else if (std::isinf(b[i])) {
      ASSERT_EQ(a[i], b[i]) << i;
    } else {
      ASSERT_NEAR(a[i], b[i], bound) << i;
    }
  }
}

struct Case {
  Shape keys;
  int64_t dv;
  Shape queries;
};

class PackedKeysTest : public testing::TestWithParam<DataType> {};

TEST_P(PackedKeysTest, AgreesWithInlineKeysOverShapesAndOutputs) {
  const Case cases[] = {
      {{1, 1}, 1, {1, 1}},
      {{63, 5}, 3, {2, 5}},
      {{64, 16}, 16, {3, 16}},
      {{700, 24}, 17, {130, 24}},
      {{2, 130, 8}, 4, {2, 5, 8}},
      {{1, 130, 8}, 4, {3, 5, 8}},
      {{3, 70, 8}, 4, {1, 5, 8}},
      {{2, 2, 600, 8}, 5, {2, 8, 3, 8}},
      {{1, 2, 100, 8}, 5, {3, 4, 1, 8}},
      {{0, 4}, 3, {2, 4}},
      {{5, 0}, 3, {2, 0}},
      {{5, 4}, 0, {2, 4}},
      {{5, 4}, 3, {0, 4}},
      {{0, 5, 4}, 3, {0, 2, 4}},
  };
  uint64_t seed = 0;
  for (const Case& one : cases) {
    Shape value_shape = one.keys;
    value_shape.back() = one.dv;
    const Tensor keys = RandomTensor(GetParam(), one.keys, ++seed);
    const std::optional<Tensor> values = RandomTensor(GetParam(), value_shape, ++seed);
    const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, &*values);
    for (int output = 1; output <= ssize(kOutputNames); ++output) {
      Asked asked = Ask(*key_set, one.queries, static_cast<Output>(output), ++seed);
      asked.problem.top_k = 7;
      asked.problem.softcap = output % 2 == 0 ? 2.0F : 0.0F;
      asked.problem.is_causal = seed % 3 == 0;
      asked.problem.window_left = seed % 2 == 0 ? 40 : -1;
      Asked expected = Ask(*key_set, one.queries, static_cast<Output>(output), seed);
      expected.problem = asked.problem;
      expected.problem.queries = expected.queries.View();
      Answer(key_set, {&asked});
      AnswerInline(keys, values, *key_set, expected);
      SCOPED_TRACE(testing::Message() << ShapeString(one.keys) << " output " << output);
      ExpectClose(asked.result, expected.result, 2e-5F);
      if (asked.problem.output == Output::kTopK) {
        EXPECT_TRUE(std::equal(asked.indices.data.data(),
                               asked.indices.data.data() + asked.indices.data.size_bytes(),
                               expected.indices.data.data()));
      }
      if (asked.Results().log_sum_exp != nullptr) {
        ExpectClose(asked.log_sum_exp, expected.log_sum_exp, 1e-4F);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackedKeysTest,
                         testing::Values(DataType::kFloat32, DataType::kBfloat16,
                                         DataType::kFloat16));

// Returns a random request that fits the set.
Asked AskAnything(const KeySet& key_set, std::mt19937_64& random) {
  const auto pick = [&random](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const int64_t m = key_set.m();
  Shape queries = {1, 4, pick(0, 9) == 0 ? pick(1, 150) : pick(1, 3), key_set.layout().d};
  const int64_t n = queries[2];
  Asked asked = Ask(key_set, queries, static_cast<Output>(pick(1, 6)), random());
  AttentionProblem& problem = asked.problem;
  problem.top_k = pick(0, 4) == 0 ? pick(1, m) : pick(1, 20);
  problem.result_type = static_cast<DataType>(pick(1, 3));
  problem.softcap = pick(0, 3) == 0 ? 3.0F : 0.0F;
  problem.is_causal = pick(0, 3) == 0;
  problem.window_left = pick(0, 3) == 0 ? pick(0, m) : -1;
  problem.window_right = pick(0, 3) == 0 ? pick(0, m) : -1;
  if (pick(0, 3) == 0) asked.key_lengths = {pick(0, m)};
  problem.key_lengths = asked.key_lengths;
  if (pick(0, 3) == 0) {
    asked.mask = RandomTensor(DataType::kFloat32, {n, pick(0, m)}, random());
    problem.mask = asked.mask->View();
  }
  return asked;
}

void ExpectBitsAsAlone(const std::shared_ptr<const KeySet>& key_set,
                       const std::vector<Asked>& asked) {
  for (const Asked& one : asked) {
    Asked alone;
    alone.problem = one.problem;
    alone.shape = one.shape;
    Answer(key_set, {&alone});
    EXPECT_TRUE(alone.HasBitsOf(one)) << "output " << static_cast<int>(one.problem.output);
  }
}

// A set with two heads. Each head's keys form two whole splits and a shorter one.
std::shared_ptr<const KeySet> TwoHeads(DataType type) {
  Tensor keys = RandomTensor(type, {1, 2, 1500, 2000}, 1);
  Tensor values = RandomTensor(type, {1, 2, 1500, 40}, 2);
  return MakeKeySet(keys, &values);
}

TEST(PackedKeysBitsTest, RequestsInMixedPassesGetTheBitsTheyGetAlone) {
  const std::shared_ptr<const KeySet> key_set = TwoHeads(DataType::kBfloat16);
  EXPECT_GT(CutOf(key_set).splits, 1);
  std::mt19937_64 random(7);
  for (int batch = 0; batch < 6; ++batch) {
    std::vector<Asked> asked;
    for (int i = 0; i < 12; ++i) asked.push_back(AskAnything(*key_set, random));
    std::vector<Asked*> pointers;
    for (Asked& one : asked) pointers.push_back(&one);
    Answer(key_set, pointers, 3);
    ExpectBitsAsAlone(key_set, asked);
  }
}

// The thread sanitizer looks for races, and the test below has one thread. There it has fewer
// requests, because 10000 take 100 s.
#ifdef __SANITIZE_THREAD__
constexpr int64_t kManyRequests = 500;
#else
constexpr int64_t kManyRequests = 10000;
#endif

TEST(PackedKeysBitsTest, ManyRequestsInMixedPassesGetTheBitsTheyGetAlone) {
  Tensor keys = RandomTensor(DataType::kFloat32, {1, 2, 330, 20}, 1);
  Tensor values = RandomTensor(DataType::kFloat32, {1, 2, 330, 9}, 2);
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, &values);
  std::mt19937_64 random(8);
  int64_t requests = 0;
  while (requests < kManyRequests) {
    std::vector<Asked> asked;
    const auto count = std::uniform_int_distribution<int>(1, 60)(random);
    for (int i = 0; i < count; ++i) asked.push_back(AskAnything(*key_set, random));
    std::vector<Asked*> pointers;
    for (Asked& one : asked) pointers.push_back(&one);
    Answer(key_set, pointers);
    ExpectBitsAsAlone(key_set, asked);
    ASSERT_FALSE(HasFailure());
    requests += count;
  }
}

TEST(PackedKeysBitsTest, HowTheSetWasAppendedTogetherDoesNotShow) {
  Tensor keys = RandomTensor(DataType::kFloat32, {1000, 30}, 1);
  Tensor values = RandomTensor(DataType::kFloat32, {1000, 20}, 2);
  const std::shared_ptr<const KeySet> whole = MakeKeySet(keys, &values);
  const std::shared_ptr<const KeySet> grown =
      MakeKeySetInParts(keys, &values, {1, 62, 1, 1, 64, 200, 3, 0, 668});
  for (int output = 1; output <= ssize(kOutputNames); ++output) {
    Asked a = Ask(*whole, {3, 30}, static_cast<Output>(output), 5);
    a.problem.top_k = 10;
    Asked b = Ask(*grown, {3, 30}, static_cast<Output>(output), 5);
    b.problem = a.problem;
    Answer(whole, {&a});
    Answer(grown, {&b});
    EXPECT_TRUE(a.HasBitsOf(b)) << output;
  }
}

TEST(PackedKeysBitsTest, AScoreDoesNotDependOnTheNumberAndPlacesOfTheKeys) {
  const Tensor keys = RandomTensor(DataType::kFloat32, {300, 50}, 1);
  const std::shared_ptr<const KeySet> many = MakeKeySet(keys, nullptr);
  Asked all = Ask(*many, {2, 50}, Output::kScores, 3);
  Answer(many, {&all});
  const std::vector<float> scores = ToFloats(all.result.View());
  for (const int64_t key : {0, 1, 63, 64, 255, 299}) {
    Tensor row = EmptyTensor(DataType::kFloat32, {1, 50});
    std::memcpy(row.data.data(), keys.data.data() + key * 200, 200);
    const std::shared_ptr<const KeySet> single = MakeKeySet(row, nullptr);
    Asked one = Ask(*single, {2, 50}, Output::kScores, 3);
    Answer(single, {&one});
    const std::vector<float> score = ToFloats(one.result.View());
    EXPECT_EQ(score[0], scores[static_cast<size_t>(key)]);
    EXPECT_EQ(score[1], scores[static_cast<size_t>(300 + key)]);
  }
}

TEST(PackedKeysBitsTest, WhatIsMaskedDoesNotLeak) {
  Tensor keys = RandomTensor(DataType::kFloat32, {200, 8}, 1);
  Tensor values = RandomTensor(DataType::kFloat32, {200, 8}, 2);
  const std::shared_ptr<const KeySet> clean = MakeKeySet(keys, &values);
  for (int64_t i = 100 * 8; i < 200 * 8; ++i) {
    reinterpret_cast<float*>(keys.data.data())[i] = kNan;
    reinterpret_cast<float*>(values.data.data())[i] = kNan;
  }
  const std::shared_ptr<const KeySet> dirty = MakeKeySet(keys, &values);
  for (const Output output : {Output::kContext, Output::kTopK, Output::kWeights}) {
    Asked a = Ask(*clean, {4, 8}, output, 5);
    a.problem.top_k = 150;
    a.key_lengths = {100};
    a.problem.key_lengths = a.key_lengths;
    Asked b = Ask(*dirty, {4, 8}, output, 5);
    b.problem = a.problem;
    Answer(clean, {&a});
    Answer(dirty, {&b});
    EXPECT_TRUE(a.HasBitsOf(b)) << static_cast<int>(output);
  }
}

// The tests below check that passes of any shape are made quickly and have short tiles.

// Counts the results that differ from `unwritten`, the value that all of them had before.
int64_t Written(const Tensor& result, float unwritten) {
  const std::vector<float> results = ToFloats(result.View());
  return static_cast<int64_t>(results.size()) -
         std::count(results.begin(), results.end(), unwritten);
}

// Runs the pass of one request tile by tile. Returns the largest number of results that one tile
// wrote.
int64_t MostOfATile(const std::shared_ptr<const KeySet>& key_set, Asked& asked) {
  constexpr float kUnwritten = 12345.0F;
  asked.Clear(*key_set);
  std::fill_n(reinterpret_cast<float*>(asked.result.data.data()),
              asked.result.data.size_bytes() / sizeof(float), kUnwritten);
  const ScoreRequest request = {asked.problem, asked.shape, asked.Results()};
  const ScoreRequest* const requests[] = {&request};
  const std::unique_ptr<Pass> pass = PassOf(key_set, requests);
  int64_t most = 0;
  int64_t written = 0;
  for (int64_t tile = 0; tile < pass->tile_count(); ++tile) {
    EXPECT_TRUE(pass->RunTile(tile).ok());
    // Counts only after every thousandth tile and the last, because counting is slow.
    if (tile % 1000 != 0 && tile + 1 != pass->tile_count() && pass->tile_count() > 100) continue;
    const int64_t now = Written(asked.result, kUnwritten);
    most = std::max(most, now - written);
    written = now;
  }
  EXPECT_EQ(written, static_cast<int64_t>(asked.result.data.size_bytes() / sizeof(float)));
  return most;
}

TEST(PackedKeysTilesTest, APassIsMadeWithoutGoingOverItsRows) {
  const Tensor keys = EmptyTensor(DataType::kFloat32, {1, 0});
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, nullptr);
  // No machine can iterate over so many rows. Their queries have no bytes.
  Asked asked = Ask(*key_set, {kScoresMax, 0}, Output::kScores, 1);
  const ScoreRequest request = {asked.problem, asked.shape, {}};
  const ScoreRequest* const requests[] = {&request};
  const std::unique_ptr<Pass> pass = PassOf(key_set, requests);
  EXPECT_GT(pass->tile_count(), kScoresMax / 100'000);
}

TEST(PackedKeysTilesTest, ManyRowsOnATinySetAreManyTiles) {
  const std::shared_ptr<const KeySet> key_set =
      MakeKeySet(RandomTensor(DataType::kFloat32, {1, 1}, 1), nullptr);
  for (const Output output : {Output::kScores, Output::kWeights, Output::kTopK}) {
    Asked asked = Ask(*key_set, {200'000, 1}, output, 2);
    asked.problem.top_k = 1;
    EXPECT_LE(MostOfATile(key_set, asked), 20'000) << static_cast<int>(output);
  }
}

TEST(PackedKeysTilesTest, ManyMatricesOfOneKeyAreManyTiles) {
  constexpr int64_t kMatrices = 100'000;
  Tensor keys = RandomTensor(DataType::kFloat32, {kMatrices, 1, 1}, 1);
  Tensor values = EmptyTensor(DataType::kFloat32, {kMatrices, 1, 0});
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, &values);
  for (const Output output : {Output::kScores, Output::kWeights, Output::kTopK}) {
    Asked asked = Ask(*key_set, {kMatrices, 1, 1}, output, 2);
    asked.problem.top_k = 1;
    EXPECT_LE(MostOfATile(key_set, asked), 2'000) << static_cast<int>(output);
    if (output == Output::kWeights) continue;
    const std::vector<float> q = ToFloats(asked.queries.View());
    const std::vector<float> k = ToFloats(keys.View());
    const std::vector<float> scores = ToFloats(asked.result.View());
    for (size_t i = 0; i < scores.size(); ++i) ASSERT_EQ(scores[i], q[i] * k[i]);
  }
  Asked context = Ask(*key_set, {kMatrices, 1, 1}, Output::kContext, 2);
  Answer(key_set, {&context});
  const std::vector<float> lse = ToFloats(context.log_sum_exp.View());
  EXPECT_THAT(lse, testing::Each(testing::Truly([](float x) { return std::isfinite(x); })));
}

TEST(PackedKeysTilesTest, WhatNoKeyHasAPartInIsFilledInTiles) {
  const std::shared_ptr<const KeySet> no_keys =
      MakeKeySet(EmptyTensor(DataType::kFloat32, {0, 0}), nullptr);
  Asked top = Ask(*no_keys, {3, 0}, Output::kTopK, 1);
  top.problem.top_k = kFillPlaces;
  EXPECT_LE(MostOfATile(no_keys, top), kFillPlaces);
  const std::shared_ptr<const KeySet> two_keys =
      MakeKeySet(RandomTensor(DataType::kFloat32, {2, 1}, 1), nullptr);
  Asked wide = Ask(*two_keys, {2, 1}, Output::kTopK, 1);
  wide.problem.top_k = kFillPlaces + 2;
  EXPECT_LE(MostOfATile(two_keys, wide), kFillPlaces);
  for (const Asked* asked : {&top, &wide}) {
    const int64_t keys = asked == &top ? 0 : 2;
    const std::vector<float> scores = ToFloats(asked->result.View());
    const auto* indices = reinterpret_cast<const int32_t*>(asked->indices.data.data());
    for (size_t i = 0; i < scores.size(); ++i) {
      const bool is_key = static_cast<int64_t>(i) % asked->problem.top_k < keys;
      ASSERT_EQ(std::isfinite(scores[i]), is_key) << i;
      ASSERT_EQ(indices[i] >= 0, is_key) << i;
    }
  }
}

TEST(PackedKeysTilesTest, RowsThatAreLongToFinishHaveShortTiles) {
  constexpr int64_t kKeys = 200'000;
  const std::shared_ptr<const KeySet> key_set =
      MakeKeySet(RandomTensor(DataType::kFloat32, {kKeys, 1}, 1), nullptr);
  for (const Output output : {Output::kWeights, Output::kTopK}) {
    Asked asked = Ask(*key_set, {40, 1}, output, 2);
    asked.problem.top_k = 20'000;
    const int64_t columns = output == Output::kTopK ? asked.problem.top_k : kKeys;
    // The tile that finishes a block writes the block's rows.
    EXPECT_LE(MostOfATile(key_set, asked), 20 * columns);
  }
}

TEST(PackedKeysTilesTest, ASplitIsCutWhereItsTopKIsMoreThanATileAtWorst) {
  const Tensor keys = RandomTensor(DataType::kFloat32, {40'000, 1}, 1);
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, nullptr);
  ASSERT_EQ(CutOf(key_set).splits, 1);
  Asked asked = Ask(*key_set, {128, 1}, Output::kTopK, 2);
  asked.problem.top_k = 3;
  Asked expected = Ask(*key_set, {128, 1}, Output::kTopK, 2);
  expected.problem.top_k = 3;
  asked.Clear(*key_set);
  const ScoreRequest request = {asked.problem, asked.shape, asked.Results()};
  const ScoreRequest* const requests[] = {&request};
  EXPECT_GT(PassOf(key_set, requests)->tile_count(), 3);
  Answer(key_set, {&asked}, 3);
  AnswerInline(keys, std::nullopt, *key_set, expected);
  EXPECT_TRUE(std::equal(asked.indices.data.data(),
                         asked.indices.data.data() + asked.indices.data.size_bytes(),
                         expected.indices.data.data()));
}

TEST(PackedKeysTilesTest, ALongDepthIsCutInPanels) {
  const Tensor keys = RandomTensor(DataType::kBfloat16, {256, 100'000}, 1);
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, nullptr);
  Asked asked = Ask(*key_set, {1, 100'000}, Output::kScores, 2);
  Asked expected = Ask(*key_set, {1, 100'000}, Output::kScores, 2);
  asked.Clear(*key_set);
  const ScoreRequest request = {asked.problem, asked.shape, asked.Results()};
  const ScoreRequest* const requests[] = {&request};
  EXPECT_EQ(PassOf(key_set, requests)->tile_count(), 4);
  Answer(key_set, {&asked}, 2);
  AnswerInline(keys, std::nullopt, *key_set, expected);
  ExpectClose(asked.result, expected.result, 1e-3F);
}

// Compares sets and requests of odd shapes with inline keys, which are cut differently.
TEST(PackedKeysTilesTest, OddShapesAgreeWithInlineKeys) {
  struct Shapes {
    Shape keys, queries;
    int64_t top_k;
  };
  const Shapes all[] = {
      {{1, 1}, {5000, 1}, 1},
      {{1, 0}, {5000, 0}, 3},
      {{70, 1}, {4000, 1}, 2000},
      {{3000, 1, 2}, {3000, 2, 2}, 1},
      {{500, 2, 3, 1}, {500, 6, 2, 1}, 2},
      {{1, 3, 2, 1}, {700, 3, 3, 1}, 5},
      {{2, 1, 5, 1}, {2, 1, 900, 1}, 2},
      {{9000, 1}, {150, 1}, 4000},
  };
  uint64_t seed = 0;
  for (const Shapes& shapes : all) {
    Shape value_shape = shapes.keys;
    value_shape.back() = 2;
    const Tensor keys = RandomTensor(DataType::kFloat32, shapes.keys, ++seed);
    const std::optional<Tensor> values = RandomTensor(DataType::kFloat32, value_shape, ++seed);
    const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, &*values);
    for (int output = 1; output <= ssize(kOutputNames); ++output) {
      SCOPED_TRACE(testing::Message() << ShapeString(shapes.keys) << " output " << output);
      Asked asked = Ask(*key_set, shapes.queries, static_cast<Output>(output), ++seed);
      asked.problem.top_k = shapes.top_k;
      Asked expected = Ask(*key_set, shapes.queries, static_cast<Output>(output), seed);
      expected.problem.top_k = shapes.top_k;
      Answer(key_set, {&asked}, 3);
      AnswerInline(keys, values, *key_set, expected);
      ExpectClose(asked.result, expected.result, 2e-5F);
      if (asked.Results().log_sum_exp != nullptr) {
        ExpectClose(asked.log_sum_exp, expected.log_sum_exp, 1e-4F);
      }
    }
  }
}

// scoring.proto promises that the product is float32 before the scale is applied.
TEST(PackedKeysScaleTest, MultipliesTheProductOnTheServerAndInline) {
  Tensor keys = EmptyTensor(DataType::kFloat32, {1, 1});
  reinterpret_cast<float*>(keys.data.data())[0] = 1e20F;
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, nullptr);
  for (const auto& [query, score] :
       {std::pair(1e20F, std::numeric_limits<float>::infinity()), std::pair(1e10F, 1e20F)}) {
    Asked asked = Ask(*key_set, {1, 1}, Output::kScores, 1);
    reinterpret_cast<float*>(asked.queries.data.data())[0] = query;
    asked.problem.scale = 1e-10F;
    Answer(key_set, {&asked});
    EXPECT_FLOAT_EQ(ToFloats(asked.result.View())[0], score);
    AnswerInline(keys, std::nullopt, *key_set, asked);
    EXPECT_FLOAT_EQ(ToFloats(asked.result.View())[0], score);
  }
}

TEST(PackedKeysTilesTest, TopKOfAnEmptySetIsOneShortTile) {
  const std::shared_ptr<const KeySet> no_keys =
      MakeKeySet(EmptyTensor(DataType::kFloat32, {0, 5}), nullptr);
  Asked top = Ask(*no_keys, {3, 5}, Output::kTopK, 1);
  top.problem.top_k = 2;
  Asked scores = Ask(*no_keys, {3, 5}, Output::kScores, 1);
  top.Clear(*no_keys);
  scores.Clear(*no_keys);
  const ScoreRequest top_request = {top.problem, top.shape, top.Results()};
  const ScoreRequest scores_request = {scores.problem, scores.shape, scores.Results()};
  const ScoreRequest* const requests[] = {&top_request, &scores_request};
  const std::unique_ptr<Pass> pass = PassOf(no_keys, requests);
  EXPECT_EQ(pass->tile_count(), 1);
  EXPECT_TRUE(pass->RunTile(0).ok());
  const std::vector<float> found = ToFloats(top.result.View());
  const auto* indices = reinterpret_cast<const int32_t*>(top.indices.data.data());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(indices[i], -1);
  }
}

TEST(ScoreCostTest, TopKIsChargedForAllPartsThatRunAtATime) {
  const int64_t running = 2 * BlasCallsMax();
  const auto bytes = [](int64_t rows, int64_t m, int64_t k) {
    const std::shared_ptr<const KeySet> key_set =
        MakeKeySet(RandomTensor(DataType::kFloat32, {m, 1}, 1), nullptr);
    Asked asked = Ask(*key_set, {rows, 1}, Output::kTopK, 1);
    asked.problem.top_k = k;
    return StateBytes(*key_set, asked.problem, asked.shape);
  };
  constexpr int64_t kEntry = sizeof(TopEntry);
  // Selecting the ten best of many keys needs room for 42 entries. 20'000 keys are 313 panels.
  EXPECT_EQ(bytes(1, 20'000, 10), std::min<int64_t>(1 + running, 313) * 42 * kEntry);
  EXPECT_EQ(bytes(300, 20'000, 10),
            std::min(300 + running * kBlockRows, 300 * int64_t{313}) * 42 * kEntry);
  // The keys of one panel have only one part.
  EXPECT_EQ(bytes(3, 50, 10), 3 * 42 * kEntry);
  EXPECT_EQ(bytes(3, 20, 10), 3 * 20 * kEntry);
  EXPECT_EQ(bytes(3, 0, 10), 0);
}

TEST(ScoreCostTest, ContextAndNarrowWeightsAreChargedForAllRowsHoweverFewKeysThereAre) {
  for (const int64_t m : {50, 1000, 200'000}) {
    const Tensor keys = RandomTensor(DataType::kFloat32, {m, 8}, 1);
    const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, &keys);
    const auto bytes = [&](Output output) {
      Asked asked = Ask(*key_set, {300, 8}, output, 1);
      asked.problem.result_type = DataType::kFloat16;
      return StateBytes(*key_set, asked.problem, asked.shape);
    };
    EXPECT_EQ(bytes(Output::kContext),
              CutOf(key_set).splits * (ContextSumBytes(300, 8) + ContextInfinityBytes(300, 8)));
    EXPECT_EQ(bytes(Output::kWeights), 300 * m * 4);
  }
}

TEST(ScoreCostTest, CostsAreWhatIsSharedAndWhatIsNot) {
  const Tensor keys = RandomTensor(DataType::kFloat32, {1000, 64}, 1);
  const std::shared_ptr<const KeySet> key_set = MakeKeySet(keys, nullptr);
  const Asked one = Ask(*key_set, {1, 64}, Output::kScores, 1);
  const Asked many = Ask(*key_set, {100, 64}, Output::kScores, 1);
  const std::shared_ptr<const KeySource> source = key_set;
  const ScoreCost cost = PredictCost(*source, one.problem, one.shape, 100);
  const ScoreCost more = PredictCost(*source, many.problem, many.shape, 100);
  EXPECT_EQ(cost.shared, more.shared);
  EXPECT_GT(cost.alone, cost.shared);
  EXPECT_NEAR(absl::FDivDuration(more.alone - more.shared, cost.alone - cost.shared), 100, 1);
}

}  // namespace
}  // namespace qkserve
