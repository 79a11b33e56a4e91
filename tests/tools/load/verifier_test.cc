#include "tools/load/verifier.h"

#include <atomic>
#include <cstring>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tools/load/random_source.h"
#include "tools/load/reply.h"

namespace qkserve {
namespace {

std::atomic<bool> never{false};

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() {
    RequestSetOptions options;
    options.workload = {.n = 2, .m = 30, .d = 8};
    options.payloads_max = 3;
    inline_ = *BuildRequestSet(options);
    options.workload.resident = true;
    options.key_sets = {{"items"}};
    resident_ = *BuildRequestSet(options);
  }

  // Returns the answer of a server that holds `keys`. If `keys` is null, the keys are inline.
  static v1::ScoreResponse Answer(const RequestSet& set, size_t request, const FloatMatrix* keys) {
    const v1::ScoreRequest asked = *ParseRequest(set.requests[request].bytes);
    std::vector<float> q(asked.queries().data().size() / 4);
    std::memcpy(q.data(), asked.queries().data().data(), q.size() * 4);
    std::vector<float> k(30 * 8);
    if (keys == nullptr) {
      std::memcpy(k.data(), asked.inline_().keys().data().data(), k.size() * 4);
    } else {
      k = keys->elements;
    }
    std::vector<float> scores(2 * 30);
    for (size_t i = 0; i < scores.size(); ++i) {
      for (size_t x = 0; x < 8; ++x) scores[i] += q[i / 30 * 8 + x] * k[i % 30 * 8 + x];
    }
    v1::ScoreResponse response;
    response.mutable_receipt()->set_kernel("AVX3");
    response.mutable_result()->set_data_type(v1::FLOAT32);
    response.mutable_result()->add_shape(2);
    response.mutable_result()->add_shape(30);
    response.mutable_result()->set_data(scores.data(), scores.size() * 4);
    return response;
  }

  static grpc::ByteBuffer Bytes(const v1::ScoreResponse& response) {
    const grpc::Slice slice(response.SerializeAsString());
    return grpc::ByteBuffer(&slice, 1);
  }

  static void Change(v1::ScoreResponse& response, size_t index, float by) {
    float element = 0;
    std::string* const data = response.mutable_result()->mutable_data();
    std::memcpy(&element, data->data() + 4 * index, 4);
    element += by;
    std::memcpy(data->data() + 4 * index, &element, 4);
  }

  RequestSet inline_, resident_;
};

TEST_F(VerifierTest, RightAnswersAndDuplicatesPass) {
  Verifier verifier(&inline_, {}, Clock::Monotonic());
  for (int64_t i = 0; i < 9; ++i) verifier.Offer(i, i % 3, Bytes(Answer(inline_, i % 3, nullptr)));
  const Verifier::Result result = verifier.Finish();
  EXPECT_EQ(result.rows, 9);
  EXPECT_EQ(result.duplicates, 6);
  EXPECT_EQ(result.wrong, 0) << result.first_wrong;
}

TEST_F(VerifierTest, AWrongScoreNamesRequestRowAndKey) {
  Verifier verifier(&inline_, {}, Clock::Monotonic());
  v1::ScoreResponse response = Answer(inline_, 1, nullptr);
  Change(response, 12, 0.5);
  verifier.Offer(41, 1, Bytes(response));
  const Verifier::Result result = verifier.Finish();
  EXPECT_EQ(result.wrong, 1);
  EXPECT_TRUE(absl::StartsWith(result.first_wrong.message(),
                               "wrong answer: request 41 (payload 1), row 0, key 12: got "))
      << result.first_wrong;
}

TEST_F(VerifierTest, DuplicatesMustHaveTheSameBits) {
  Verifier verifier(&resident_, {}, Clock::Monotonic());
  const FloatMatrix keys = *ReadMatrix(RandomSource({30, 8}, 5, &never), std::nullopt);
  v1::ScoreResponse response = Answer(resident_, 2, &keys);
  verifier.Offer(1, 2, Bytes(response));
  Change(response, 7, 1e-6F);
  // If the version or the kernel differs, the bits may differ.
  response.mutable_receipt()->set_key_set_version(2);
  verifier.Offer(2, 2, Bytes(response));
  response.mutable_receipt()->set_key_set_version(0);
  response.mutable_receipt()->set_kernel("AVX2");
  verifier.Offer(3, 2, Bytes(response));
  response.mutable_receipt()->set_kernel("AVX3");
  verifier.Offer(4, 2, Bytes(response));
  const Verifier::Result result = verifier.Finish();
  EXPECT_EQ(result.rows, 0);  // the verifier does not know the keys
  EXPECT_EQ(result.duplicates, 1);
  EXPECT_EQ(result.wrong, 1);
  EXPECT_TRUE(absl::StrContains(result.first_wrong.message(),
                                "request 4 (payload 2, key set items), which was answered before "
                                "with other bits: they differ from element 7 on"))
      << result.first_wrong;
}

TEST_F(VerifierTest, KeysAreRoundedAsTheServerKeepsThem) {
  for (const DataType storage : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    const FloatMatrix kept = *ReadMatrix(RandomSource({30, 8}, 5, &never), storage);
    const FloatMatrix exact = *ReadMatrix(RandomSource({30, 8}, 5, &never), std::nullopt);
    for (const FloatMatrix* keys : {&kept, &exact}) {
      std::vector<KnownKeySet> known;
      known.push_back({*keys, std::nullopt});
      Verifier verifier(&resident_, std::move(known), Clock::Monotonic());
      verifier.Offer(0, 0, Bytes(Answer(resident_, 0, &kept)));
      const bool right = keys == &kept || storage == DataType::kFloat32;
      EXPECT_EQ(verifier.Finish().wrong, right ? 0 : 1) << DataTypeName(storage);
    }
  }
}

TEST_F(VerifierTest, AnswersOfAnotherShapeAreWrong) {
  Verifier verifier(&inline_, {}, Clock::Monotonic());
  v1::ScoreResponse response = Answer(inline_, 0, nullptr);
  response.mutable_result()->mutable_data()->resize(8);
  verifier.Offer(0, 0, Bytes(response));
  response.mutable_result()->mutable_shape()->Set(0, 1);
  response.mutable_result()->mutable_shape()->Set(1, 2);
  verifier.Offer(1, 1, Bytes(response));
  const grpc::Slice slice("\xff\xff");
  verifier.Offer(2, 2, grpc::ByteBuffer(&slice, 1));
  EXPECT_EQ(verifier.Finish().wrong, 3);
}

}  // namespace
}  // namespace qkserve
