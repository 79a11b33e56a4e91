#include "tools/load/request_set.h"

#include <cstring>
#include <map>

#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tools/load/reply.h"

namespace qkserve {
namespace {

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> elements(bytes.size() / sizeof(float));
  std::memcpy(elements.data(), bytes.data(), bytes.size());
  return elements;
}

v1::ScoreRequest RequestOf(const RequestSet& set, size_t index) {
  return *ParseRequest(set.requests[index].bytes);
}

TEST(RequestSetTest, InlineRequestsDifferAndAreTheSameForASeed) {
  RequestSetOptions options;
  options.workload = {.n = 2, .m = 3, .d = 4, .dv = 5, .output = Output::kContext};
  options.payloads_max = 4;
  const RequestSet set = *BuildRequestSet(options);
  ASSERT_EQ(set.requests.size(), 4u);
  const v1::ScoreRequest first = RequestOf(set, 0);
  EXPECT_EQ(first.output(), v1::CONTEXT);
  EXPECT_EQ(first.queries().data().size(), 2u * 4 * 4);
  EXPECT_EQ(first.inline_().keys().data().size(), 3u * 4 * 4);
  EXPECT_EQ(first.inline_().values().data().size(), 3u * 5 * 4);
  EXPECT_NE(first.queries().data(), RequestOf(set, 1).queries().data());
  EXPECT_NE(first.inline_().keys().data(), RequestOf(set, 1).inline_().keys().data());
  EXPECT_EQ(first.SerializeAsString(), RequestOf(*BuildRequestSet(options), 0).SerializeAsString());
  options.seed = 2;
  EXPECT_NE(first.SerializeAsString(), RequestOf(*BuildRequestSet(options), 0).SerializeAsString());
}

TEST(RequestSetTest, LargeRequestsAreShared) {
  RequestSetOptions options;
  options.workload = *FindStandardWorkload("inline-square");
  options.payloads_max = 1000;
  EXPECT_EQ(BuildRequestSet(options)->payloads, 64);
}

TEST(RequestSetTest, QueriesFromAFileAreTakenInTurn) {
  const std::vector<float> rows = {0, 0, 1, 1, 2, 2};  // [3, 2]
  RequestSetOptions options;
  options.workload = {.n = 2, .m = 1, .d = 2};
  options.payloads_max = 2;
  options.queries =
      TensorView{DataType::kFloat32, {3, 2}, reinterpret_cast<const std::byte*>(rows.data())};
  const RequestSet set = *BuildRequestSet(options);
  EXPECT_EQ(Floats(RequestOf(set, 0).queries().data()), (std::vector<float>{0, 0, 1, 1}));
  EXPECT_EQ(Floats(RequestOf(set, 1).queries().data()), (std::vector<float>{2, 2, 0, 0}));
}

TEST(RequestSetTest, EachKeySetGetsEachPayload) {
  RequestSetOptions options;
  options.workload = *FindStandardWorkload("resident-mixed");
  options.key_sets = {{"a"}, {"b", 7}, {"c"}};
  options.payloads_max = 5;
  const RequestSet set = *BuildRequestSet(options);
  ASSERT_EQ(set.requests.size(), 15u);
  EXPECT_EQ(RequestOf(set, 7).key_set().name(), "b");
  EXPECT_EQ(RequestOf(set, 7).key_set().version(), 7);
  EXPECT_EQ(RequestOf(set, 7).queries().data(), RequestOf(set, 2).queries().data());
  EXPECT_EQ(RequestOf(set, 0).top_k(), 10);
}

TEST(RequestPickerTest, KeySetsFollowZipf) {
  RequestSetOptions options;
  options.workload = {.n = 1, .m = 1, .d = 1, .resident = true, .zipf = 1.0};
  options.key_sets = {{"a"}, {"b"}, {"c"}, {"d"}};
  options.payloads_max = 2;
  const RequestSet set = *BuildRequestSet(options);
  RequestPicker picker(&set, 0, 1, 1);
  std::map<int, int> chosen;
  for (int i = 0; i < 25'000; ++i) {
    const RequestSet::Request& request = set.requests[picker.Next()];
    ++chosen[request.key_set];
    EXPECT_EQ(request.payload, i % 2);
  }
  // The weights 1, 1/2, 1/3 and 1/4 sum to 25/12. For 25000 requests, 12000, 6000, 4000 and 3000
  // are expected.
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(chosen[i], 12'000.0 / (i + 1), 400) << i;
}

TEST(ReplyTest, TheReceiptIsReadFromAnyEncoding) {
  v1::ScoreResponse response;
  response.mutable_receipt()->set_queued_ns(7);
  response.mutable_result()->set_data(std::string(100'000, 'x'));
  const auto buffer = [](std::string bytes) {
    const grpc::Slice slice(bytes);
    return grpc::ByteBuffer(&slice, 1);
  };
  v1::Receipt receipt;
  grpc::ByteBuffer usual = buffer(response.SerializeAsString());
  ASSERT_TRUE(ReadReceipt(usual, &receipt).ok());
  EXPECT_EQ(receipt.queued_ns(), 7);
  EXPECT_EQ(ParseReply(usual)->result().data().size(), 100'000u);  // the bytes are still there

  // In this reply the receipt comes last, and in two parts.
  v1::ScoreResponse more;
  more.mutable_receipt()->set_computed_ns(8);
  v1::ScoreResponse tensor;
  tensor.mutable_result()->set_data("y");
  grpc::ByteBuffer odd =
      buffer(tensor.SerializeAsString() + response.SerializeAsString() + more.SerializeAsString());
  ASSERT_TRUE(ReadReceipt(odd, &receipt).ok());
  EXPECT_EQ(receipt.queued_ns(), 7);
  EXPECT_EQ(receipt.computed_ns(), 8);

  grpc::ByteBuffer empty = buffer("");
  EXPECT_TRUE(ReadReceipt(empty, &receipt).ok());
  const std::string whole = response.SerializeAsString();
  for (const std::string& bytes :
       {std::string("\xff"), whole.substr(0, 3), whole.substr(0, 5000)}) {
    grpc::ByteBuffer broken = buffer(bytes);
    EXPECT_FALSE(ReadReceipt(broken, &receipt).ok());
  }
}

}  // namespace
}  // namespace qkserve
