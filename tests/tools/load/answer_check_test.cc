#include "tools/load/answer_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "absl/strings/match.h"
#include "base/float16.h"
#include "gtest/gtest.h"
#include "tools/load/random_source.h"

namespace qkserve {
namespace {

constexpr int64_t kKeys = 200;
constexpr int64_t kDepth = 48;

FloatMatrix RandomMatrix(int64_t rows, int64_t columns, uint64_t seed) {
  FloatMatrix matrix = {rows, columns, std::vector<float>(static_cast<size_t>(rows * columns))};
  FillRandom(seed, 0, absl::MakeSpan(matrix.elements));
  return matrix;
}

class AnswerCheckTest : public testing::Test {
 protected:
  AnswerCheckTest() {
    // Scores are summed in float32, as a server does.
    for (int64_t key = 0; key < kKeys; ++key) {
      scores_.push_back(std::inner_product(query_.elements.begin(), query_.elements.end(),
                                           keys_.Row(key).begin(), 0.0F));
    }
    order_.resize(kKeys);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [this](int a, int b) { return scores_[a] > scores_[b]; });
  }

  std::vector<float> Weights() const {
    std::vector<float> weights;
    for (const float score : scores_) weights.push_back(std::exp(score - scores_[order_[0]]));
    const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F);
    for (float& weight : weights) weight /= sum;
    return weights;
  }

  std::vector<float> Context() const {
    const std::vector<float> weights = Weights();
    std::vector<float> context(static_cast<size_t>(values_.columns));
    for (int64_t key = 0; key < kKeys; ++key) {
      for (size_t i = 0; i < context.size(); ++i) context[i] += weights[key] * values_.Row(key)[i];
    }
    return context;
  }

  absl::Status Check(Output output, const std::vector<float>& row,
                     const std::vector<int32_t>& keys = {}) const {
    return CheckAnswerRow({output, row, keys}, query_.Row(0), keys_, &values_, 3);
  }

  void ExpectTopK(std::vector<int32_t> keys, const char* problem) const {
    std::vector<float> row;
    for (const int32_t key : keys) row.push_back(key < 0 ? -HUGE_VALF : scores_[key % kKeys]);
    const absl::Status status = Check(Output::kTopK, row, keys);
    EXPECT_EQ(status.ok(), *problem == '\0') << status;
    EXPECT_TRUE(absl::StrContains(status.message(), problem)) << status;
  }

  const FloatMatrix query_ = RandomMatrix(1, kDepth, 1);
  const FloatMatrix keys_ = RandomMatrix(kKeys, kDepth, 2);
  const FloatMatrix values_ = RandomMatrix(kKeys, 5, 3);
  std::vector<float> scores_;
  std::vector<int32_t> order_;
};

TEST_F(AnswerCheckTest, ScoresInFloat32AreRight) {
  for (const Output output : {Output::kScores, Output::kCapped, Output::kMasked}) {
    EXPECT_TRUE(Check(output, scores_).ok()) << Check(output, scores_);
  }
}

TEST_F(AnswerCheckTest, AWrongScoreIsNamed) {
  scores_[17] += 0.001F;
  const absl::Status status = Check(Output::kScores, scores_);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::StartsWith(status.message(), "key 17: got ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), ", bound ")) << status;
  scores_[17] = std::nanf("");
  EXPECT_FALSE(Check(Output::kScores, scores_).ok());
}

TEST_F(AnswerCheckTest, TheBestKeysInOrderAreRight) {
  ExpectTopK({order_.begin(), order_.begin() + 10}, "");
}

TEST_F(AnswerCheckTest, ABetterKeyThatIsMissingIsNamed) {
  std::vector<int32_t> keys(order_.begin(), order_.begin() + 10);
  keys.erase(keys.begin() + 4);
  ExpectTopK(keys, "is missing: got ");
}

TEST_F(AnswerCheckTest, KeysThatCannotBeAreWrong) {
  ExpectTopK({order_[0], order_[0]}, "place 1: got key");
  ExpectTopK({order_[1], order_[0]}, "stands behind");
  ExpectTopK({order_[0] + static_cast<int32_t>(kKeys)}, "place 0: got key");
  ExpectTopK({-1}, "place 0: got key -1");
}

TEST_F(AnswerCheckTest, PlacesWithoutKeysAreEmpty) {
  std::vector<int32_t> keys = order_;
  keys.push_back(-1);
  ExpectTopK(keys, "");
  keys.back() = 3;
  ExpectTopK(keys, "expected -1");
}

TEST_F(AnswerCheckTest, WeightsAndContextInFloat32AreRight) {
  EXPECT_TRUE(Check(Output::kWeights, Weights()).ok()) << Check(Output::kWeights, Weights());
  EXPECT_TRUE(Check(Output::kContext, Context()).ok()) << Check(Output::kContext, Context());
  std::vector<float> wrong = Weights();
  wrong[5] *= 1.01F;
  EXPECT_TRUE(absl::StartsWith(Check(Output::kWeights, wrong).message(), "key 5: got "));
  wrong = Context();
  wrong[2] += 0.01F;
  EXPECT_TRUE(absl::StartsWith(Check(Output::kContext, wrong).message(), "column 2: got "));
}

TEST(RoundedToTest, Float16IsTheNearestOfAllOfThem) {
  // This covers every finite float16, and values between neighbours.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = Float16ToFloat(static_cast<uint16_t>(bits));
    const float high = Float16ToFloat(static_cast<uint16_t>(bits + 1));
    ASSERT_EQ(RoundedTo(DataType::kFloat16, low), low);
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(RoundedTo(DataType::kFloat16, middle), bits % 2 == 0 ? low : high) << bits;
    ASSERT_EQ(RoundedTo(DataType::kFloat16, -std::nextafter(middle, high)), -high) << bits;
    ASSERT_EQ(RoundedTo(DataType::kFloat16, std::nextafter(middle, low)), low) << bits;
  }
  EXPECT_EQ(RoundedTo(DataType::kFloat16, 65519.0F), 65504.0F);
  EXPECT_EQ(RoundedTo(DataType::kFloat16, -65520.0F), -HUGE_VALF);
}

TEST(RoundedToTest, Bfloat16DropsSixteenBits) {
  for (const uint32_t bits : {0x3f800000u, 0x3f807fffu, 0x3f808000u, 0x3f808001u, 0x3f818000u,
                              0x00000001u, 0x00008001u, 0x7f7f7fffu, 0xc2f6e979u}) {
    // The sum carries into the upper 16 bits if the lower 16 bits are above half, or if they are
    // half and the last upper bit is odd.
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    EXPECT_EQ(RoundedTo(DataType::kBfloat16, std::bit_cast<float>(bits)),
              std::bit_cast<float>(rounded))
        << bits;
  }
}

TEST(RoundedToTest, Float32StaysAndSoDoesWhatIsNotFinite) {
  EXPECT_EQ(RoundedTo(DataType::kFloat32, 0.1F), 0.1F);
  EXPECT_TRUE(std::isnan(RoundedTo(DataType::kBfloat16, std::nanf(""))));
  EXPECT_EQ(RoundedTo(DataType::kFloat16, HUGE_VALF), HUGE_VALF);
}

}  // namespace
}  // namespace qkserve
