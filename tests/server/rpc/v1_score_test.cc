#include "server/rpc/v1_score.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "qkserve/output.h"
#include "server/admission/admit_score.h"
#include "server/limits.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::ScoreRequest Request(const Shape& q, const Shape& k) {
  return MakeScoreRequest(RandomTensor(DataType::kFloat32, q, 1).View(),
                          RandomTensor(DataType::kFloat32, k, 2).View(), {});
}

// A request with every option that its output allows.
v1::ScoreRequest AttentionRequest(v1::Output output) {
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 2, 3}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {2, 6, 3}, 2);
  const Tensor mask = RandomTensor(DataType::kFloat16, {2, 5}, 3);
  ScoreOptions options;
  options.softcap = 3.0F;
  options.is_causal = true;
  options.window_left = 4;
  options.key_lengths = {5, 6};
  options.mask = mask.View();
  if (output == v1::CONTEXT) options.values = k.View();
  options.output = static_cast<Output>(output);
  options.top_k = output == v1::TOP_K ? 3 : 0;
  options.log_sum_exp = output != v1::TOP_K;
  return MakeScoreRequest(q.View(), k.View(), options);
}

// Decodes and admits a request without any key set.
absl::StatusOr<std::unique_ptr<AdmittedScore>> Admit(const v1::ScoreRequest& request) {
  static KeySetStore& key_sets = *KeySetStore::Open({.memory_bytes_max = kMiB}, nullptr)->release();
  static ByteBudget& budget = *new ByteBudget("in_flight_bytes_max", kGiB);
  absl::StatusOr<ScoreCall> call = DecodeScoreCall(request);
  if (!call.ok()) return call.status();
  // Results name the kernel that the options hold.
  static const AdmissionOptions& options =
      *new AdmissionOptions{.message_bytes_max = kMiB,
                            .compute = {.kernel = "SapphireRapids"},
                            .key_sets = &key_sets,
                            .budget = &budget};
  return AdmitScore(*std::move(call), options);
}

std::string Refusal(const v1::ScoreRequest& request) {
  const absl::Status status = Admit(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

void SetShape(v1::Tensor* tensor, const Shape& shape) {
  tensor->mutable_shape()->Assign(shape.begin(), shape.end());
}

TEST(V1ScoreTest, TheCallPointsIntoTheRequest) {
  const v1::ScoreRequest request = Request({2, 3}, {4, 3});
  const ScoreCall call = DecodeScoreCall(request).value();
  EXPECT_EQ(static_cast<const void*>(call.problem.queries.data),
            static_cast<const void*>(request.queries().data().data()));
  EXPECT_EQ(call.problem.scale, 1.0F);
  EXPECT_EQ(call.problem.result_type, DataType::kFloat32);
}

TEST(V1ScoreTest, TheCallHasEveryOption) {
  const v1::ScoreRequest request = AttentionRequest(v1::CONTEXT);
  const ScoreCall call = DecodeScoreCall(request).value();
  EXPECT_EQ(call.problem.output, Output::kContext);
  EXPECT_TRUE(call.log_sum_exp);
  EXPECT_EQ(call.problem.softcap, 3.0F);
  EXPECT_TRUE(call.problem.is_causal);
  EXPECT_EQ(call.problem.window_left, 4);
  EXPECT_EQ(call.problem.window_right, -1);
  EXPECT_FALSE(call.has_offset);
  EXPECT_THAT(call.problem.key_lengths, ElementsAre(5, 6));
  EXPECT_THAT(call.problem.mask->shape, ElementsAre(2, 5));
  EXPECT_THAT(call.problem.values->shape, ElementsAre(2, 6, 3));
  EXPECT_FALSE(call.key_set.has_value());
}

TEST(V1ScoreTest, TheCallNamesTheKeySet) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_key_set()->set_name("docs");
  EXPECT_EQ(DecodeScoreCall(request)->key_set, "docs");
  EXPECT_EQ(DecodeScoreCall(request)->key_set_version, std::nullopt);
  request.mutable_key_set()->set_version(7);
  EXPECT_EQ(DecodeScoreCall(request)->key_set_version, 7);
  EXPECT_FALSE(DecodeScoreCall(request)->has_keys());
}

TEST(V1ScoreTest, NamesWhatIsMissing) {
  v1::ScoreRequest request;
  EXPECT_EQ(Refusal(request), "queries: got none, expected a tensor");
  request = Request({2, 3}, {4, 3});
  request.clear_inline_();
  constexpr char kNoKeys[] = "inline.keys: got none, expected a tensor, or a key_set in its place";
  EXPECT_EQ(Admit(request).status().message(), kNoKeys);
  request.mutable_inline_();
  EXPECT_EQ(Admit(request).status().message(), kNoKeys);
}

TEST(V1ScoreTest, NamesTheWrongLength) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_queries()->mutable_data()->pop_back();
  EXPECT_EQ(Refusal(request), "queries.data: got 23 bytes, expected 24 for FLOAT32 [2, 3]");
  request = Request({2, 3}, {4, 3});
  request.mutable_inline_()->mutable_keys()->set_data_type(v1::FLOAT16);
  EXPECT_EQ(Refusal(request), "inline.keys.data: got 48 bytes, expected 24 for FLOAT16 [4, 3]");
}

TEST(V1ScoreTest, NamesTheWrongType) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_queries()->set_data_type(static_cast<v1::DataType>(77));
  EXPECT_EQ(Refusal(request), "queries.data_type: got 77, expected FLOAT32, FLOAT16 or BFLOAT16");
  request.mutable_queries()->clear_data_type();
  EXPECT_THAT(Refusal(request), HasSubstr("queries.data_type: got none"));
  request = Request({2, 3}, {4, 3});
  request.set_result_type(static_cast<v1::DataType>(-5));
  EXPECT_THAT(Refusal(request), HasSubstr("result_type: got -5"));
  request = Request({2, 3}, {4, 3});
  request.mutable_attention()->mutable_mask()->set_data_type(v1::INT32);
  EXPECT_EQ(Refusal(request),
            "attention.mask.data_type: got INT32, expected BOOL, FLOAT32, FLOAT16 or BFLOAT16");
}

TEST(V1ScoreTest, NamesTheWrongShape) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  SetShape(request.mutable_queries(), {-2, 3});
  EXPECT_EQ(Refusal(request), "queries.shape: got [-2, 3], expected sizes of 0 or more");
  SetShape(request.mutable_queries(), {int64_t{1} << 40, int64_t{1} << 40});
  EXPECT_THAT(Refusal(request), HasSubstr("more elements than 64 bits can count"));
  // The number of elements fits in 64 bits, but the number of their bytes does not.
  SetShape(request.mutable_queries(), {int64_t{1} << 31, int64_t{1} << 31});
  EXPECT_THAT(Refusal(request), HasSubstr("queries.shape"));
  SetShape(request.mutable_queries(), {6});
  EXPECT_EQ(Refusal(request), "queries.shape: got rank 1, expected rank 2, 3 or 4");
  SetShape(request.mutable_queries(), Shape(1000000, 1));
  EXPECT_EQ(Refusal(request), "queries.shape: got rank 1000000, expected rank 2, 3 or 4");
}

TEST(V1ScoreTest, OutputsHaveTheNamesAndValuesOfV1) {
  for (int value = 1; value <= v1::Output_MAX; ++value) {
    EXPECT_EQ(OutputName(static_cast<Output>(value)),
              absl::AsciiStrToLower(v1::Output_Name(static_cast<v1::Output>(value))));
  }
  EXPECT_EQ(OutputName(Output::kScores), "scores");
  EXPECT_EQ(OutputName(Output::kCapped), "capped");
  EXPECT_EQ(OutputName(Output::kMasked), "masked");
  EXPECT_EQ(OutputName(Output::kWeights), "weights");
  EXPECT_EQ(OutputName(Output::kContext), "context");
  EXPECT_EQ(OutputName(Output::kTopK), "top_k");
}

TEST(V1ScoreTest, NamesAnUnknownOutput) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.set_output(static_cast<v1::Output>(9));
  EXPECT_EQ(Refusal(request),
            "output: got 9, expected SCORES, CAPPED, MASKED, WEIGHTS, CONTEXT or TOP_K");
}

TEST(V1ScoreTest, AdmissionNamesTheFieldsOfV1) {
  const auto refusal = [](auto change) {
    v1::ScoreRequest request = Request({2, 3, 4}, {2, 5, 4});
    change(request);
    return std::string(Admit(request).status().message());
  };
  EXPECT_EQ(refusal([](auto& r) { r.mutable_attention()->set_scale(1.0F / 0.0F); }),
            "attention.scale: got inf, expected a finite number");
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_softcap(-1); }),
              HasSubstr("attention.softcap: got -1"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_window_left(-2); }),
              HasSubstr("attention.window_left: got -2, expected -1 (open) or more"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_window_right(-2); }),
              HasSubstr("attention.window_right"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->add_key_lengths(1); }),
              HasSubstr("attention.key_lengths: got 1 lengths, expected 2, one a batch"));
  EXPECT_THAT(refusal([](auto& r) {
                r.mutable_attention()->add_key_lengths(1);
                r.mutable_attention()->set_offset(0);
              }),
              HasSubstr("attention.offset: got 0"));
  EXPECT_THAT(refusal([](auto& r) { *r.mutable_attention()->mutable_mask() = r.inline_().keys(); }),
              HasSubstr("attention.mask.shape: got [2, 5, 4]"));
  EXPECT_THAT(refusal([](auto& r) { r.set_top_k(3); }), HasSubstr("top_k: got 3, expected none"));
  EXPECT_THAT(refusal([](auto& r) { r.set_log_sum_exp(true); }),
              HasSubstr("log_sum_exp: got true"));
  EXPECT_THAT(refusal([](auto& r) { r.set_output(v1::CONTEXT); }),
              HasSubstr("inline.values: got none, expected a tensor"));
  EXPECT_THAT(refusal([](auto& r) {
                *r.mutable_queries() = Request({2, 3}, {4, 3}).queries();
              }),
              HasSubstr("inline.keys.shape: got [2, 5, 4], expected rank 2 to fit queries"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_key_set()->set_name("nope"); }),
              HasSubstr("no key set has the name 'nope'"));
}

TEST(V1ScoreTest, ReportsTheFirstErrorOfSeveral) {
  const v1::ScoreRequest good = Request({2, 3, 4}, {2, 5, 4});
  v1::ScoreRequest request = good;
  v1::Attention& attention = *request.mutable_attention();
  v1::InlineKeys& inline_keys = *request.mutable_inline_();
  request.set_output(static_cast<v1::Output>(9));
  request.set_result_type(v1::BOOL);
  request.set_top_k(3);
  attention.set_scale(1.0F / 0.0F);
  request.mutable_queries()->mutable_data()->pop_back();
  *inline_keys.mutable_keys() = Request({2, 3}, {4, 3}).inline_().keys();
  inline_keys.mutable_keys()->mutable_data()->pop_back();
  attention.add_key_lengths(1);
  attention.mutable_mask()->set_data_type(v1::INT32);
  *inline_keys.mutable_values() = inline_keys.keys();

  EXPECT_THAT(Refusal(request), HasSubstr("output: got 9"));
  request.set_output(v1::CONTEXT);
  EXPECT_THAT(Refusal(request), HasSubstr("result_type: got BOOL"));
  request.clear_result_type();
  EXPECT_THAT(Refusal(request), HasSubstr("top_k: got 3"));
  request.clear_top_k();
  EXPECT_THAT(Refusal(request), HasSubstr("attention.scale: got inf"));
  attention.clear_scale();
  EXPECT_THAT(Refusal(request), HasSubstr("queries.data: got 95 bytes"));
  *request.mutable_queries() = good.queries();
  EXPECT_THAT(Refusal(request), HasSubstr("inline.keys.data: got 47 bytes"));
  inline_keys.mutable_keys()->mutable_data()->push_back(0);
  EXPECT_THAT(Refusal(request), HasSubstr("inline.keys.shape: got [4, 3]"));
  *inline_keys.mutable_keys() = good.inline_().keys();
  EXPECT_THAT(Refusal(request), HasSubstr("attention.key_lengths: got 1 lengths"));
  attention.clear_key_lengths();
  EXPECT_THAT(Refusal(request), HasSubstr("attention.mask.data_type: got INT32"));
  attention.clear_mask();
  EXPECT_THAT(Refusal(request), HasSubstr("inline.values.data: got 47 bytes"));
  *inline_keys.mutable_values() = good.inline_().keys();
  EXPECT_TRUE(Admit(request).ok());
}

TEST(V1ScoreTest, AnUnknownKeySetIsReportedAfterOptionsAndQueriesButBeforeAMask) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_key_set()->set_name("nope");
  request.mutable_attention()->set_softcap(-1);
  request.mutable_queries()->set_data_type(v1::INT32);
  request.mutable_attention()->mutable_mask()->set_data_type(v1::INT32);
  EXPECT_THAT(Refusal(request), HasSubstr("attention.softcap: got -1"));
  request.mutable_attention()->clear_softcap();
  EXPECT_THAT(Refusal(request), HasSubstr("queries.data_type: got INT32"));
  request.mutable_queries()->set_data_type(v1::FLOAT32);
  EXPECT_EQ(Admit(request).status().code(), absl::StatusCode::kNotFound);
}

TEST(V1ScoreTest, ResponsesStayWithinTheOverheadThatIsReservedForThem) {
  const v1::ScoreRequest request = Request({1, 1, 1, 2}, {1, 1, 1, 2});
  const std::unique_ptr<AdmittedScore> score = Admit(request).value();
  ASSERT_TRUE(score->RunTile(0).ok());
  v1::ScoreResponse response;
  EncodeScoreResponse(score->result(),
                      {.job = {.queued = absl::InfiniteDuration(),
                               .computed = absl::InfiniteDuration(),
                               .batch_requests = std::numeric_limits<int64_t>::max(),
                               .batch_rows = std::numeric_limits<int64_t>::max()}},
                      response);
  EXPECT_LT(static_cast<int64_t>(response.ByteSizeLong()),
            kResponseOverheadBytesMax + static_cast<int64_t>(sizeof(float)));
}

// A request that parses is either refused or can be computed. A mutated message must not lead to an
// access outside its memory. The sanitizers check this.
TEST(V1ScoreTest, MutatedRequestsAreRefusedOrComputable) {
  std::mt19937 random(7);
  const std::string seeds[] = {Request({2, 3}, {4, 3}).SerializeAsString(),
                               Request({1, 4, 2, 3}, {2, 2, 5, 3}).SerializeAsString(),
                               Request({2, 0}, {0, 0}).SerializeAsString(),
                               AttentionRequest(v1::CONTEXT).SerializeAsString(),
                               AttentionRequest(v1::TOP_K).SerializeAsString(),
                               AttentionRequest(v1::WEIGHTS).SerializeAsString()};
  int64_t computed = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string bytes = seeds[random() % std::size(seeds)];
    for (uint32_t edits = 1 + random() % 3; edits > 0; --edits) {
      // Most mutations are in the first bytes, because types and shapes are there.
      const size_t at =
          random() % (random() % 4 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 48));
      bytes[at] =
          static_cast<char>(random() % 2 == 0 ? random() : bytes[at] ^ (1U << random() % 8));
    }
    v1::ScoreRequest request;
    if (!request.ParseFromString(bytes)) continue;
    absl::StatusOr<std::unique_ptr<AdmittedScore>> score = Admit(request);
    if (!score.ok()) continue;
    ASSERT_LE((*score)->result().result.data.size_bytes(), size_t{kMiB});
    for (int64_t tile = 0; tile < (*score)->spec().tile_count; ++tile) {
      ASSERT_TRUE((*score)->RunTile(tile).ok());
    }
    ++computed;
  }
  EXPECT_GT(computed, 1000);
}

}  // namespace
}  // namespace qkserve
