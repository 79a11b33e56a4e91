#include "server/rpc/codec.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "core/scoring/score_pass.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "server/limits.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

v1::ScoreRequest Request(const Shape& q, const Shape& k) {
  return MakeScoreRequest(RandomTensor(DataType::kFloat32, q, 1).View(),
                          RandomTensor(DataType::kFloat32, k, 2).View(), {});
}

// With every option that its output allows.
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

// In memory, with nothing in it but what a test puts there.
KeySetStore& KeySets() {
  static KeySetStore& key_sets = *KeySetStore::Open({.memory_bytes_max = kMiB}, nullptr)->release();
  return key_sets;
}

absl::StatusOr<DecodedScore> Decode(const v1::ScoreRequest& request,
                                    int64_t message_bytes_max = kMessageBytesMax) {
  return DecodeScoreRequest(request, message_bytes_max, KeySets());
}

std::string Refusal(const v1::ScoreRequest& request) {
  const absl::Status status = Decode(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

void SetShape(v1::Tensor* tensor, const Shape& shape) {
  tensor->mutable_shape()->Assign(shape.begin(), shape.end());
}

TEST(CodecTest, PointsIntoTheRequest) {
  const v1::ScoreRequest request = Request({2, 3}, {4, 3});
  const DecodedScore decoded = Decode(request).value();
  EXPECT_EQ(static_cast<const void*>(decoded.problem.queries.data),
            static_cast<const void*>(request.queries().data().data()));
  EXPECT_EQ(decoded.problem.scale, 1.0F);
  EXPECT_EQ(decoded.problem.result_type, DataType::kFloat32);
  EXPECT_EQ(decoded.result_bytes, 32);
  EXPECT_EQ(decoded.in_flight_bytes, 24 + 48 + 96);
}

TEST(CodecTest, NamesWhatIsMissing) {
  v1::ScoreRequest request;
  EXPECT_EQ(Refusal(request), "queries: got none, expected a tensor");
  request = Request({2, 3}, {4, 3});
  request.clear_inline_();
  EXPECT_EQ(Refusal(request),
            "inline.keys: got none, expected a tensor, or a key_set in its place");
  request.mutable_inline_();
  EXPECT_EQ(Refusal(request),
            "inline.keys: got none, expected a tensor, or a key_set in its place");
}

TEST(CodecTest, NamesTheWrongLength) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_queries()->mutable_data()->pop_back();
  EXPECT_EQ(Refusal(request), "queries.data: got 23 bytes, expected 24 for FLOAT32 [2, 3]");
  request = Request({2, 3}, {4, 3});
  request.mutable_inline_()->mutable_keys()->set_data_type(v1::FLOAT16);
  EXPECT_EQ(Refusal(request), "inline.keys.data: got 48 bytes, expected 24 for FLOAT16 [4, 3]");
}

TEST(CodecTest, NamesTheWrongType) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.mutable_queries()->set_data_type(static_cast<v1::DataType>(77));
  EXPECT_EQ(Refusal(request), "queries.data_type: got 77, expected FLOAT32, FLOAT16 or BFLOAT16");
  request.mutable_queries()->clear_data_type();
  EXPECT_THAT(Refusal(request), HasSubstr("queries.data_type: got none"));
  request = Request({2, 3}, {4, 3});
  request.set_result_type(static_cast<v1::DataType>(-5));
  EXPECT_THAT(Refusal(request), HasSubstr("result_type: got -5"));
}

TEST(CodecTest, NamesTheWrongShape) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  SetShape(request.mutable_queries(), {-2, 3});
  EXPECT_EQ(Refusal(request), "queries.shape: got [-2, 3], expected sizes of 0 or more");
  SetShape(request.mutable_queries(), {int64_t{1} << 40, int64_t{1} << 40});
  EXPECT_THAT(Refusal(request), HasSubstr("more elements than 64 bits can count"));
  // The elements can be counted, their bytes cannot.
  SetShape(request.mutable_queries(), {int64_t{1} << 31, int64_t{1} << 31});
  EXPECT_THAT(Refusal(request), HasSubstr("queries.shape"));
  SetShape(request.mutable_queries(), {6});
  EXPECT_EQ(Refusal(request), "queries.shape: got rank 1, expected rank 2, 3 or 4");
  SetShape(request.mutable_queries(), Shape(1000000, 1));
  EXPECT_EQ(Refusal(request), "queries.shape: got rank 1000000, expected rank 2, 3 or 4");
  EXPECT_THAT(Refusal(Request({2, 3}, {4, 5})), HasSubstr("inline.keys.shape: got [4, 5]"));
  EXPECT_THAT(Refusal(Request({2, 3}, {1, 4, 3})), HasSubstr("expected rank 2"));
  EXPECT_THAT(Refusal(Request({2, 2, 3}, {3, 4, 3})), HasSubstr("expected 1 or 2"));
}

TEST(CodecTest, RefusesAScaleThatIsNoNumber) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  for (const float scale :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    request.mutable_attention()->set_scale(scale);
    EXPECT_THAT(Refusal(request), HasSubstr("attention.scale: got"));
  }
}

TEST(CodecTest, RefusesAnUnknownOutput) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  request.set_output(static_cast<v1::Output>(9));
  EXPECT_EQ(Refusal(request),
            "output: got 9, expected SCORES, CAPPED, MASKED, WEIGHTS, CONTEXT or TOP_K");
}

TEST(CodecTest, TakesOffsetsAndWindowsToTheEndsOfInt64) {
  v1::ScoreRequest request = Request({2, 3}, {4, 3});
  for (const int64_t offset :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    request.mutable_attention()->set_offset(offset);
    request.mutable_attention()->set_window_left(std::numeric_limits<int64_t>::max());
    request.mutable_attention()->set_window_right(std::numeric_limits<int64_t>::max());
    const DecodedScore decoded = Decode(request).value();
    EXPECT_EQ(decoded.problem.offset, offset);
    EXPECT_EQ(decoded.problem.window_left, std::numeric_limits<int64_t>::max());
    EXPECT_EQ(decoded.problem.window_right, std::numeric_limits<int64_t>::max());
  }
}

TEST(CodecTest, NamesWrongOptionsOfAttention) {
  const auto refusal = [](auto change) {
    v1::ScoreRequest request = Request({2, 3, 4}, {2, 5, 4});
    change(request);
    return Refusal(request);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_softcap(-1); }),
              HasSubstr("attention.softcap: got -1"));
  EXPECT_THAT(refusal([&](auto& r) { r.mutable_attention()->set_softcap(nan); }),
              HasSubstr("attention.softcap: got nan"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_window_left(-2); }),
              HasSubstr("attention.window_left: got -2, expected -1 (open) or more"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->set_window_right(-2); }),
              HasSubstr("attention.window_right"));
  EXPECT_THAT(refusal([](auto& r) { r.mutable_attention()->add_key_lengths(1); }),
              HasSubstr("attention.key_lengths: got 1 lengths, expected 2, one a batch"));
  for (const int64_t length : {int64_t{-1}, int64_t{6}}) {
    EXPECT_THAT(refusal([&](auto& r) {
                  r.mutable_attention()->add_key_lengths(0);
                  r.mutable_attention()->add_key_lengths(length);
                }),
                HasSubstr("attention.key_lengths[1]: got"));
  }
  EXPECT_THAT(refusal([](auto& r) {
                r.mutable_attention()->add_key_lengths(1);
                r.mutable_attention()->add_key_lengths(1);
                r.mutable_attention()->set_offset(0);
              }),
              HasSubstr("attention.offset"));
  EXPECT_THAT(refusal([](auto& r) { r.set_output(v1::TOP_K); }),
              HasSubstr("top_k: got 0, expected 1 or more"));
  EXPECT_THAT(refusal([](auto& r) { r.set_top_k(3); }), HasSubstr("top_k: got 3, expected none"));
  EXPECT_THAT(refusal([](auto& r) { r.set_log_sum_exp(true); }),
              HasSubstr("log_sum_exp: got true"));
  EXPECT_THAT(refusal([](auto& r) { r.set_output(v1::CONTEXT); }),
              HasSubstr("inline.values: got none, expected a tensor"));
  EXPECT_THAT(refusal([](auto& r) { *r.mutable_inline_()->mutable_values() = r.inline_().keys(); }),
              HasSubstr("inline.values: got a tensor, expected none"));
  EXPECT_THAT(refusal([](auto& r) {
                r.set_output(v1::CONTEXT);
                *r.mutable_inline_()->mutable_values() = r.queries();
              }),
              HasSubstr("inline.values.shape: got [2, 3, 4]"));
}

TEST(CodecTest, AMaskMustBroadcastToTheScores) {
  const auto decode = [](const Shape& mask, v1::DataType type) {
    v1::ScoreRequest request = Request({2, 3, 4}, {2, 5, 4});
    v1::Tensor& tensor = *request.mutable_attention()->mutable_mask();
    tensor.set_data_type(type);
    SetShape(&tensor, mask);
    tensor.set_data(
        std::string(static_cast<size_t>(*ElementCount(mask)) * (type == v1::BOOL ? 1 : 4), '\0'));
    return Decode(request).status();
  };
  for (const Shape& fits : {Shape{5}, Shape{3}, Shape{0}, Shape{1, 5}, Shape{3, 5}, Shape{2, 3, 5},
                            Shape{1, 1, 4}, Shape{2, 1, 5}}) {
    EXPECT_TRUE(decode(fits, v1::BOOL).ok()) << ShapeString(fits);
    EXPECT_TRUE(decode(fits, v1::FLOAT32).ok()) << ShapeString(fits);
  }
  for (const Shape& misfit : {Shape{6}, Shape{2, 5}, Shape{3, 3, 5}, Shape{1, 2, 3, 5}}) {
    EXPECT_THAT(decode(misfit, v1::BOOL).message(),
                HasSubstr("expected a shape that broadcasts to [2, 3, 5]"))
        << ShapeString(misfit);
  }
  EXPECT_THAT(decode({5}, v1::INT32).message(), HasSubstr("attention.mask.data_type: got INT32"));
}

TEST(CodecTest, WorkWithoutEndIsRefusedFromTheShapesAlone) {
  v1::ScoreRequest request = Request({0, 0}, {0, 0});
  request.set_output(v1::TOP_K);
  request.set_top_k(1);
  SetShape(request.mutable_queries(), {1, 0});
  SetShape(request.mutable_inline_()->mutable_keys(), {int64_t{1} << 41, 0});
  const absl::Status status = Decode(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("more than the limit of"));
}

TEST(CodecTest, AResultBeyondTheLimitIsRefusedFromTheShapesAlone) {
  // No data at all, and a result of 40 GB.
  v1::ScoreRequest request = Request({0, 0}, {0, 0});
  SetShape(request.mutable_queries(), {100000, 0});
  SetShape(request.mutable_inline_()->mutable_keys(), {100000, 0});
  const absl::Status status = Decode(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(
      status.message(),
      "the result would be FLOAT32 [100000, 100000], which with 4096 bytes of framing is larger "
      "than message_bytes_max = 268435456");
  SetShape(request.mutable_queries(), {int64_t{1} << 31, 0});
  SetShape(request.mutable_inline_()->mutable_keys(), {int64_t{1} << 31, 0});
  EXPECT_EQ(Decode(request).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(CodecTest, TheLimitIsExact) {
  const v1::ScoreRequest request = Request({10, 2}, {10, 2});
  EXPECT_TRUE(Decode(request, 400 + kResponseOverheadBytesMax).ok());
  EXPECT_FALSE(Decode(request, 399 + kResponseOverheadBytesMax).ok());
}

TEST(CodecTest, ResponsesStayWithinTheOverheadThatIsReservedForThem) {
  const v1::ScoreRequest request = Request({1, 1, 1, 2}, {1, 1, 1, 2});
  const DecodedScore decoded = Decode(request).value();
  const ScoreMemory memory = ScoreMemory::Allocate(decoded).value();
  *reinterpret_cast<float*>(const_cast<std::byte*>(memory.result.data())) = 1;
  v1::ScoreResponse response;
  EncodeScoreResponse(decoded, memory,
                      {.queued = absl::InfiniteDuration(),
                       .computed = absl::InfiniteDuration(),
                       .batch_requests = std::numeric_limits<int64_t>::max(),
                       .batch_rows = std::numeric_limits<int64_t>::max()},
                      "SapphireRapids", response);
  EXPECT_LT(static_cast<int64_t>(response.ByteSizeLong()),
            kResponseOverheadBytesMax + decoded.result_bytes);
}

// What parses is either refused or can be computed: mutated messages must not lead outside their
// memory (which the sanitizers watch).
TEST(CodecTest, MutatedRequestsAreRefusedOrComputable) {
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
      // Mostly in the first bytes, where types and shapes are.
      const size_t at =
          random() % (random() % 4 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 48));
      bytes[at] =
          static_cast<char>(random() % 2 == 0 ? random() : bytes[at] ^ (1U << random() % 8));
    }
    v1::ScoreRequest request;
    if (!request.ParseFromString(bytes)) continue;
    const absl::StatusOr<DecodedScore> decoded = Decode(request, kMiB);
    if (!decoded.ok()) continue;
    ASSERT_LE(decoded->result_bytes, kMiB);
    ScoreMemory memory = ScoreMemory::Allocate(*decoded).value();
    const ScoreRequest score = {decoded->problem, decoded->shape, memory.Results()};
    const ScoreRequest* const scores[] = {&score};
    const std::unique_ptr<Pass> pass = MakeScorePass(decoded->keys, scores).value();
    for (int64_t tile = 0; tile < pass->tile_count(); ++tile) {
      ASSERT_TRUE(pass->RunTile(tile).ok());
    }
    ++computed;
  }
  EXPECT_GT(computed, 1000);
}

}  // namespace
}  // namespace qkserve
