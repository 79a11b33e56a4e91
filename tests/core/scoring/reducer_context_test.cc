// Context and weights, with inline keys and with key sets, against float64. The error bound is |got
// - exact| <= 2e-6 c + 3 delta c. Here c is the sum of |w v| (1 for weights), and delta is the
// largest error that a score of the row may have.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/kernels/element_conversion.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_shape.h"
#include "gtest/gtest.h"
#include "tests/support/key_sets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/run_pass.h"

namespace qkserve {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr double kUnit = 0x1p-24;

Tensor MakeTensor(DataType type, const Shape& shape, const std::vector<float>& values) {
  Tensor tensor = EmptyTensor(type, shape);
  ConvertFromFloat32(type, values.data(), static_cast<int64_t>(values.size()), tensor.data.data());
  return tensor;
}

// A request of one query [1] on keys [m, 1]. The scores equal the keys. Values are [m, dv].
struct Question {
  std::vector<float> scores;
  std::vector<float> values;
  DataType value_type = DataType::kFloat32;
  DataType result_type = DataType::kFloat32;

  int64_t m() const { return static_cast<int64_t>(scores.size()); }
  int64_t dv() const { return static_cast<int64_t>(values.size()) / m(); }
};

struct Answer {
  std::vector<float> result;
  float log_sum_exp = 0.0F;
};

Answer Ask(const Question& question, Output output, bool resident, int64_t copies = 1) {
  const Tensor queries = MakeTensor(DataType::kFloat32, {copies, 1},
                                    std::vector<float>(static_cast<size_t>(copies), 1.0F));
  const Tensor keys = MakeTensor(DataType::kFloat32, {question.m(), 1}, question.scores);
  const Tensor values =
      MakeTensor(question.value_type, {question.m(), question.dv()}, question.values);
  AttentionProblem problem;
  problem.queries = queries.View();
  problem.keys = keys.View();
  if (output == Output::kContext) problem.values = values.View();
  problem.output = output;
  problem.result_type = question.result_type;
  const ScoreShape shape = MakeScoreShape("queries", queries.shape, "keys", keys.shape).value();
  const int64_t columns = output == Output::kContext ? question.dv() : question.m();
  const Tensor result = EmptyTensor(problem.result_type, {copies, columns});
  std::vector<float> log_sum_exp(static_cast<size_t>(copies));
  const AttentionResults results = {.result = const_cast<std::byte*>(result.data.data()),
                                    .indices = nullptr,
                                    .log_sum_exp = log_sum_exp.data()};
  const ScoreRequest request = {problem, shape, results};
  const ScoreRequest* const requests[] = {&request};
  if (resident) {
    RunPass(MakeKeySet(keys, &values), requests);
  } else {
    RunInline(request);
  }
  Answer answer = {.result = ToFloats(result.View()), .log_sum_exp = log_sum_exp.back()};
  answer.result.erase(answer.result.begin(), answer.result.end() - columns);
  return answer;
}

struct Reference {
  std::vector<double> weights;
  std::vector<double> context;
  std::vector<double> magnitudes;  // of each column, the sum of |w v|
  double log_sum_exp = 0;
  double delta = 0;
};

Reference ComputeContext(const Question& question) {
  Reference reference;
  const double top = *std::max_element(question.scores.begin(), question.scores.end());
  double total = 0;
  for (const float score : question.scores) {
    reference.weights.push_back(std::exp(static_cast<double>(score) - top));
    total += reference.weights.back();
    // The error of a score is at most 2 gamma_1 |q k| + 4 u |q k|. That is about 6 u |score|,
    // because gamma_1 is about u and q k is the score.
    reference.delta = std::max(reference.delta, 6 * kUnit * std::abs(static_cast<double>(score)));
  }
  for (double& weight : reference.weights) weight /= total;
  reference.log_sum_exp = top + std::log(total);
  const auto dv = static_cast<size_t>(question.dv());
  reference.context.assign(dv, 0.0);
  reference.magnitudes.assign(dv, 0.0);
  for (size_t j = 0; j < question.scores.size(); ++j) {
    for (size_t c = 0; c < dv; ++c) {
      const double term = reference.weights[j] * static_cast<double>(question.values[j * dv + c]);
      reference.context[c] += term;
      reference.magnitudes[c] += std::abs(term);
    }
  }
  return reference;
}

void ExpectWithinBound(const Question& question, const std::string& what) {
  const Reference reference = ComputeContext(question);
  for (const bool resident : {false, true}) {
    const Answer answer = Ask(question, Output::kContext, resident);
    const double relative = 2e-6 + 3 * reference.delta;
    for (size_t c = 0; c < answer.result.size(); ++c) {
      EXPECT_LE(std::abs(static_cast<double>(answer.result[c]) - reference.context[c]),
                relative * reference.magnitudes[c])
          << what << (resident ? ", resident" : ", inline") << ", column " << c << ": got "
          << answer.result[c] << ", expected " << reference.context[c];
    }
    EXPECT_NEAR(answer.log_sum_exp, reference.log_sum_exp,
                1e-6 + reference.delta + kUnit * std::abs(reference.log_sum_exp))
        << what;
  }
}

std::vector<float> Made(int64_t count, const std::function<double(double)>& at) {
  std::vector<float> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(static_cast<float>(at(static_cast<double>(i) / static_cast<double>(count))));
  }
  return numbers;
}

std::vector<float> RandomNumbers(int64_t count, uint64_t seed) {
  return ToFloats(RandomTensor(DataType::kFloat32, {count}, seed).View());
}

TEST(ContextTest, IsWithinTheBoundHoweverManyKeysThereAre) {
  for (const int64_t m : {1, 2, 63, 64, 511, 513, 4097, 20'000, 250'000}) {
    const std::vector<std::pair<std::string, std::vector<float>>> scores = {
        {"equal scores", Made(m, [](double) { return 0.0; })},
        {"rising scores", Made(m, [](double at) { return at; })},
        {"falling scores", Made(m, [](double at) { return -2 * at; })},
        {"random scores", RandomNumbers(m, 1)},
    };
    const std::vector<std::pair<std::string, std::vector<float>>> values = {
        {"equal values", Made(2 * m, [](double) { return 973.3; })},
        {"rising values", Made(2 * m, [](double at) { return at; })},
        {"random values", RandomNumbers(2 * m, 2)},
    };
    for (const auto& [score_name, score] : scores) {
      for (const auto& [value_name, value] : values) {
        ExpectWithinBound({.scores = score, .values = value},
                          "m=" + std::to_string(m) + ", " + score_name + ", " + value_name);
      }
    }
  }
}

TEST(ContextTest, IsWithinTheBoundForValuesOf16Bits) {
  for (const DataType type : {DataType::kFloat16, DataType::kBfloat16}) {
    // The values are exact in both types.
    ExpectWithinBound({.scores = RandomNumbers(50'000, 1),
                       .values = std::vector<float>(50'000 * 3, 0.703125F),
                       .value_type = type},
                      std::string(DataTypeName(type)));
  }
}

TEST(ContextTest, WeightsSumToOneHoweverManyKeysThereAre) {
  for (const int64_t m : {1000, 100'000, 2'000'000}) {
    Question question = {.scores = RandomNumbers(m, 3),
                         .values = std::vector<float>(static_cast<size_t>(m), 1.0F)};
    for (float& score : question.scores) score *= 0.01F;
    const Reference reference = ComputeContext(question);
    for (const bool resident : {false, true}) {
      const Answer weights = Ask(question, Output::kWeights, resident);
      double sum = 0;
      for (const float weight : weights.result) sum += static_cast<double>(weight);
      EXPECT_NEAR(sum, 1.0, 5e-7) << m;
      EXPECT_NEAR(weights.log_sum_exp, reference.log_sum_exp, 2e-6) << m;
      const Answer context = Ask(question, Output::kContext, resident);
      EXPECT_NEAR(context.result[0], 1.0, 5e-7) << m;
      EXPECT_NEAR(context.log_sum_exp, reference.log_sum_exp, 2e-6) << m;
    }
  }
}

TEST(ContextTest, AMeanOfFiniteValuesIsFiniteInAnyOrder) {
  for (const int64_t m : {2, 64, 1200, 90'000}) {
    const auto size = static_cast<size_t>(m);
    Question question = {.scores = std::vector<float>(size, 0.0F),
                         .values = std::vector<float>(size * 2, kLargest)};
    for (size_t j = 0; j < size; ++j) question.values[2 * j + 1] = j % 2 == 0 ? -3e38F : 3.2e38F;
    const std::string name = "m=" + std::to_string(m);
    ExpectWithinBound(question, name);
    for (const size_t place : {size_t{0}, size / 2, size - 1}) {
      question.scores.assign(size, 0.0F);
      question.scores[place] = 200;
      ExpectWithinBound(question, name + ", a larger score at " + std::to_string(place));
      question.scores[place] = 5;
      ExpectWithinBound(question, name + ", a little larger score at " + std::to_string(place));
    }
    std::reverse(question.values.begin(), question.values.end());
    ExpectWithinBound(question, name + ", reversed");
  }
}

TEST(ContextTest, AMeanOfTheLargestValueOfATypeIsThatValue) {
  for (const auto& [type, largest] :
       {std::pair(DataType::kFloat32, kLargest), std::pair(DataType::kFloat16, 65504.0F),
        std::pair(DataType::kBfloat16, 0x1.FEp127F)}) {
    for (const int64_t m : {3, 1000, 50'000}) {
      const Question question = {.scores = RandomNumbers(m, 4),
                                 .values = std::vector<float>(static_cast<size_t>(m), -largest),
                                 .value_type = type,
                                 .result_type = type};
      for (const bool resident : {false, true}) {
        const float got = Ask(question, Output::kContext, resident).result[0];
        EXPECT_NEAR(got / -largest, 1.0, 1e-6) << DataTypeName(type) << " m=" << m;
      }
    }
  }
}

TEST(ContextTest, InfinityOfWeightZeroAddsNothingWhereverItStands) {
  constexpr int64_t kKeys = 90'000;  // several splits
  for (const size_t place : {size_t{0}, size_t{1}, size_t{600}, size_t{45'000}, size_t{89'999}}) {
    for (const size_t top : {size_t{0}, size_t{3}, size_t{700}, size_t{50'000}, size_t{89'999}}) {
      if (place == top) continue;
      Question question = {.scores = RandomNumbers(kKeys, 5),
                           .values = std::vector<float>(kKeys * 2, 1.0F)};
      for (const float value : {kInfinity, -kInfinity, std::nanf("")}) {
        question.values[2 * place] = value;
        question.scores[top] = 250;
        for (const bool resident : {false, true}) {
          const Answer answer = Ask(question, Output::kContext, resident);
          EXPECT_EQ(answer.result[0], 1.0F) << value << " at " << place << ", top " << top;
          EXPECT_EQ(answer.result[1], 1.0F) << value << " at " << place << ", top " << top;
        }
      }
    }
  }
}

// The weight of the infinity shrinks a little with each step and split.
TEST(ContextTest, InfinityWhoseWeightVanishesLittleByLittleAddsNothing) {
  for (const int64_t m : {5000, 200'000}) {
    for (const bool is_rising : {false, true}) {
      Question question = {.scores = Made(m, [](double at) { return 300 * at; }),
                           .values = std::vector<float>(static_cast<size_t>(m) * 2, 1.0F)};
      // The scores are 0, 120 and 180. The weights are e^-300, e^-180 and e^-120.
      for (const double place : {0.0, 0.4, 0.6}) {
        question.values[2 * static_cast<size_t>(place * static_cast<double>(m))] = kInfinity;
      }
      if (!is_rising) {
        std::reverse(question.scores.begin(), question.scores.end());
        std::reverse(question.values.begin(), question.values.end());
      }
      for (const bool resident : {false, true}) {
        const Answer answer = Ask(question, Output::kContext, resident);
        EXPECT_NEAR(answer.result[0], 1.0F, 1e-6) << m << " " << is_rising;
        EXPECT_NEAR(answer.result[1], 1.0F, 1e-6) << m << " " << is_rising;
      }
      // An infinity with a weight of nearly 1 is added.
      question.values[static_cast<size_t>(is_rising ? 2 * m - 4 : 2)] = -kInfinity;
      for (const bool resident : {false, true}) {
        const Answer answer = Ask(question, Output::kContext, resident);
        EXPECT_EQ(answer.result[0], -kInfinity) << m << " " << is_rising;
      }
    }
  }
}

TEST(ContextTest, InfinityThatIsAttendedIsTheMean) {
  for (const int64_t m : {1, 70, 2000, 90'000}) {
    for (const int64_t place : {int64_t{0}, m / 2, m - 1}) {
      Question question = {.scores = RandomNumbers(m, 6),
                           .values = std::vector<float>(static_cast<size_t>(m) * 2, 1.0F)};
      question.values[static_cast<size_t>(2 * place)] = -kInfinity;
      for (const bool resident : {false, true}) {
        const Answer answer = Ask(question, Output::kContext, resident);
        EXPECT_EQ(answer.result[0], -kInfinity) << m << " " << place;
        EXPECT_NEAR(answer.result[1], 1.0F, 1e-6) << m << " " << place;
      }
    }
  }
}

// Three keys have a weight: `top` (score 110), `strong` (60) and `faint` (0). The weight of `faint`
// vanishes beside `top`, but not beside `strong`. The weight of `strong` never vanishes.
void ExpectFaintAddsNothing(float faint, int64_t faint_column, int64_t m, int64_t columns,
                            std::vector<int64_t> places) {
  do {
    Question question = {.scores = std::vector<float>(static_cast<size_t>(m), -1000.0F),
                         .values = std::vector<float>(static_cast<size_t>(m * columns), 1.0F)};
    question.scores[static_cast<size_t>(places[0])] = 0;
    question.scores[static_cast<size_t>(places[1])] = 60;
    question.scores[static_cast<size_t>(places[2])] = 110;
    question.values[static_cast<size_t>(places[0] * columns + faint_column)] = faint;
    question.values[static_cast<size_t>(places[1] * columns)] = kInfinity;
    std::vector<float> expected(static_cast<size_t>(columns), 1.0F);
    expected[0] = kInfinity;
    for (const bool resident : {false, true}) {
      for (const int64_t copies : {1, 7}) {
        EXPECT_EQ(Ask(question, Output::kContext, resident, copies).result, expected)
            << faint << " in column " << faint_column << " of " << columns << ", keys " << places[0]
            << ", " << places[1] << ", " << places[2] << " of " << m << ", resident " << resident
            << ", copies " << copies;
      }
    }
  } while (std::next_permutation(places.begin(), places.end()));
}

TEST(ContextTest, InfinityOfWeightZeroAddsNothingBesideAnotherThatCounts) {
  for (const float faint : {kInfinity, -kInfinity, std::nanf("")}) {
    for (const int64_t columns : {2, 20}) {
      for (const int64_t column : {int64_t{0}, columns - 1}) {
        // All places lie in one step, or in two or three steps.
        for (const std::vector<int64_t>& places :
             {std::vector<int64_t>{0, 1, 2}, {0, 1, 600}, {0, 600, 601}, {0, 600, 1200}}) {
          ExpectFaintAddsNothing(faint, column, 1300, columns, places);
        }
      }
    }
    for (const int64_t column : {0, 1}) {
      // The places lie in two or three splits.
      for (const std::vector<int64_t>& places :
           {std::vector<int64_t>{0, 600, 89'999}, {0, 89'998, 89'999}, {0, 45'000, 89'999}}) {
        ExpectFaintAddsNothing(faint, column, 90'000, 2, places);
      }
    }
  }
}

TEST(ContextTest, OtherRowsDoNotChangeARowWhateverItsValuesAre) {
  Question question = {.scores = RandomNumbers(5000, 7), .values = RandomNumbers(5000 * 20, 8)};
  for (const float special : {kInfinity, std::nanf(""), kLargest, 1.0F}) {
    for (const size_t at : {0, 777, 50'000, 99'999}) question.values[at] = special;
    for (size_t j = 0; j < 600; ++j) question.values[j * 20 + 5] = special;
    const Answer alone = Ask(question, Output::kContext, /*resident=*/true);
    const Answer among = Ask(question, Output::kContext, /*resident=*/true, /*copies=*/7);
    EXPECT_EQ(std::memcmp(alone.result.data(), among.result.data(), alone.result.size() * 4), 0);
  }
}

}  // namespace
}  // namespace qkserve
