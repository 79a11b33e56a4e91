// The client's Score: what it refuses to send, and which replies it trusts.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/support/scoring_double.h"

namespace qkserve {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kTimeout = absl::Minutes(1);

v1::Tensor ZerosOf(v1::DataType data_type, const Shape& shape, int64_t element_bytes = 4) {
  v1::Tensor tensor;
  tensor.set_data_type(data_type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.set_data(std::string(static_cast<size_t>(*ByteCount(shape, element_bytes)), '\0'));
  return tensor;
}

class ScoreCallsTest : public testing::Test {
 protected:
  // Scores 2 queries against 3 keys. The server answers with `reply_`.
  absl::StatusOr<ScoreResult> Score(ScoreOptions options = {}) {
    options.timeout = kTimeout;
    return client_->Score(Matrix(elements_, 2, 2), Matrix(elements_, 2, 2), options);
  }

  void ExpectInternal(const ScoreOptions& options, const std::string& message) {
    EXPECT_EQ(Score(options).status(), absl::InternalError(message));
  }

  const std::vector<float> elements_ = {1, 2, 3, 4};
  v1::ScoreResponse reply_;
  int calls_ = 0;
  ScoringDouble server_{[this](const v1::ScoreRequest&) {
    ++calls_;
    return ScoringDouble::Answer{.status = {}, .response = reply_, .delay = absl::ZeroDuration()};
  }};
  const std::unique_ptr<Client> client_ = Client::Create({.address = server_.address()}).value();
};

TEST_F(ScoreCallsTest, ElementsThatDoNotFitTheirShapeAreRefusedBeforeTheyAreSent) {
  const TensorView good = Matrix(elements_, 2, 2);
  const TensorView bad = Matrix(elements_, 2, 3);
  const auto error = [](const std::string& name) {
    return absl::InvalidArgumentError(name + ": got 16 bytes, expected 24 for FLOAT32 [2, 3]");
  };
  EXPECT_EQ(client_->Score(bad, good).status(), error("queries"));
  EXPECT_EQ(client_->Score(bad, {"items"}).status(), error("queries"));
  EXPECT_EQ(client_->Score(good, bad).status(), error("keys"));
  EXPECT_EQ(client_->Score(good, good, {.values = bad}).status(), error("values"));
  EXPECT_EQ(client_->Score(good, good, {.mask = bad}).status(), error("mask"));
  EXPECT_EQ(client_->Score(good, {"items"}, {.mask = bad}).status(), error("mask"));
  EXPECT_EQ(client_->Score(Matrix(elements_, -2, -2), good).status(),
            absl::InvalidArgumentError("queries: shape [-2, -2] is not one of a tensor"));
  const std::vector<uint16_t> bits(4);
  EXPECT_EQ(client_->Score(View(bits, DataType::kFloat32, {2, 2}), good).status(),
            absl::InvalidArgumentError("queries: got 8 bytes, expected 16 for FLOAT32 [2, 2]"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(ScoreCallsTest, AMessageNeverHoldsMoreThanTheElements) {
  const v1::ScoreRequest request =
      MakeScoreRequest(Matrix(elements_, 2, 300), Matrix(elements_, 2, 1), {});
  EXPECT_EQ(request.queries().data().size(), 16);
  EXPECT_EQ(request.inline_().keys().data().size(), 16);
}

TEST_F(ScoreCallsTest, ResultsAreReadByRow) {
  *reply_.mutable_result() = ZerosOf(v1::FLOAT32, {2, 1});
  *reply_.mutable_indices() = ZerosOf(v1::INT32, {2, 1});
  const absl::StatusOr<ScoreResult> result = Score({.output = Output::kTopK, .top_k = 1});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->result.Row<float>(1), ElementsAre(0));
  EXPECT_THAT(result->indices->Row<int32_t>(1), ElementsAre(0));
}

// Programs rely on getting what they asked for, and the server may be any program.
TEST_F(ScoreCallsTest, AReplyThatIsNotWhatWasAskedForIsAnError) {
  *reply_.mutable_result() = ZerosOf(v1::FLOAT16, {2, 2}, 2);
  ExpectInternal({}, "the reply has a result of FLOAT16, asked for was FLOAT32");
  EXPECT_TRUE(Score({.result_type = DataType::kFloat16}).ok());

  *reply_.mutable_result() = ZerosOf(v1::FLOAT32, {1, 2});
  ExpectInternal({}, "the reply has the shape [1, 2] for queries [2, 2]");
  *reply_.mutable_result() = ZerosOf(v1::FLOAT32, {1, 2, 2});
  ExpectInternal({}, "the reply has the shape [1, 2, 2] for queries [2, 2]");
  reply_.clear_result();
  EXPECT_EQ(Score().status().code(), absl::StatusCode::kInternal);

  *reply_.mutable_result() = ZerosOf(v1::FLOAT32, {2, 1});
  ExpectInternal({.output = Output::kTopK, .top_k = 1},
                 "the reply has no indices that fit its scores");
  ExpectInternal({.output = Output::kWeights, .log_sum_exp = true}, "the reply has no log-sum-exp");
  *reply_.mutable_log_sum_exp() = ZerosOf(v1::FLOAT32, {2});
  EXPECT_TRUE(Score({.output = Output::kWeights, .log_sum_exp = true}).ok());
  *reply_.mutable_indices() = ZerosOf(v1::INT32, {1, 1});
  ExpectInternal({}, "the reply has indices that were not asked for");
  ExpectInternal({.output = Output::kTopK, .top_k = 1},
                 "the reply has no indices that fit its scores");
}

}  // namespace
}  // namespace qkserve
