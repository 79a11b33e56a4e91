// The client's calls on key sets, over a real connection to a fake service.

#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/test/mock_stream.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/v1/key_set_mock.grpc.pb.h"
#include "tests/support/fake_server.h"

namespace qkserve {
namespace v1 {

// Replaces GoogleTest's printer of messages, because of GCC bug 105651.
// tests/demo/shared_pass_test.cc says more.
void PrintTo(const PutKeySetRequest& request, std::ostream* out) {
  *out << request.ShortDebugString();
}
void PrintTo(const ListKeySetsRequest& request, std::ostream* out) {
  *out << request.ShortDebugString();
}

}  // namespace v1

namespace {

using ::testing::_;
using ::testing::ElementsAre;

// Returns the numbers 0, 1, 2 and so on.
std::vector<float> Counting(int64_t count) {
  std::vector<float> elements(count);
  std::iota(elements.begin(), elements.end(), 0.0f);
  return elements;
}

// Returns a view without elements, for any shape.
TensorView Nothing(Shape shape) { return View(std::span<const float>(), std::move(shape)); }

std::string BytesOf(const std::vector<float>& elements) {
  return {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(float)};
}

class KeySetCallsTest : public testing::Test {
 protected:
  FakeServer server_;
  const std::unique_ptr<Client> client_ = Client::Create({.address = server_.address()}).value();
};

TEST_F(KeySetCallsTest, CallsGoRoundOverTheAddressesOfATarget) {
  FakeServer other;
  const auto client =
      Client::Create({.address = absl::StrCat("ipv4:", server_.address(), ",", other.address())})
          .value();
  // Until both servers are connected, all calls may go to one of them.
  while (server_.key_sets().metadata().empty() || other.key_sets().metadata().empty()) {
    ASSERT_TRUE(absl::IsNotFound(client->GetKeySet("items").status()));
  }
}

TEST_F(KeySetCallsTest, PutsKeysAndValuesInChunks) {
  const std::vector<float> keys = Counting(1000 * 7), values = Counting(1000 * 3);
  std::vector<int64_t> sent;
  int64_t total = 0;
  PutKeySetOptions options;
  options.values = View(values, {1000, 3});
  options.storage = DataType::kBfloat16;
  options.chunk_bytes = 1001;  // cuts anywhere, even inside an element
  options.progress = [&](int64_t sent_bytes, int64_t total_bytes) {
    sent.push_back(sent_bytes);
    total = total_bytes;
  };
  const auto info = client_->PutKeySet("items", View(keys, {1000, 7}), options);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "items");
  EXPECT_EQ(info->version, 1);
  EXPECT_EQ(info->keys.data_type, DataType::kBfloat16);
  EXPECT_EQ(info->keys.shape, (Shape{1000, 7}));
  ASSERT_TRUE(info->values.has_value());
  EXPECT_EQ(info->values->shape, (Shape{1000, 3}));

  const auto stored = server_.key_sets().Find("items");
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->keys, BytesOf(keys));
  EXPECT_EQ(stored->values, BytesOf(values));
  EXPECT_LE(server_.key_sets().chunk_bytes_max(), 1001u + 16);
  EXPECT_THAT(server_.key_sets().metadata(), ElementsAre("items"));
  EXPECT_EQ(sent.size(), 28u + 12u);
  EXPECT_TRUE(std::is_sorted(sent.begin(), sent.end()));
  EXPECT_EQ(sent.back(), 40'000);
  EXPECT_EQ(total, 40'000);
}

TEST_F(KeySetCallsTest, PutsNoKeysAtAll) {
  const auto info = client_->PutKeySet("none", Nothing({0, 7}));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->keys.shape, (Shape{0, 7}));
}

TEST_F(KeySetCallsTest, AppendsToTheVersionThatIsExpectedAndNoOther) {
  const std::vector<float> keys = Counting(6);
  ASSERT_TRUE(client_->PutKeySet("items", View(keys, {2, 3})).ok());
  const auto info = client_->AppendKeySet("items", 1, View(keys, {2, 3}));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, 2);
  EXPECT_EQ(info->keys.shape, (Shape{4, 3}));
  EXPECT_EQ(server_.key_sets().Find("items")->keys, BytesOf(keys) + BytesOf(keys));

  // The call is sent again, as a caller does after a lost reply.
  const auto again = client_->AppendKeySet("items", 1, View(keys, {2, 3}));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition) << again.status();
}

// A failed write says only that the stream has ended, but not why.
TEST_F(KeySetCallsTest, AnUploadThatBreaksGivesTheServersOwnStatus) {
  server_.key_sets().FailUploadsAfter(
      100'000, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "key sets are full"));
  const std::vector<float> keys = Counting(8'000'000);
  const auto info = client_->PutKeySet("items", View(keys, {8000, 1000}));
  EXPECT_EQ(info.status(), absl::ResourceExhaustedError("key sets are full"));
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
}

TEST_F(KeySetCallsTest, ASourceThatFailsCancelsTheUpload) {
  const std::vector<float> old_keys = Counting(2);
  ASSERT_TRUE(client_->PutKeySet("items", View(old_keys, {1, 2})).ok());
  const TensorSource source(
      DataType::kFloat32, {1000, 2}, [](int64_t offset, absl::Span<char> out) {
        std::fill(out.begin(), out.end(), 'x');
        return offset < 4000 ? absl::OkStatus() : absl::DataLossError("bad sector");
      });
  const auto info = client_->PutKeySet("items", source, {.chunk_bytes = 1000});
  EXPECT_EQ(info.status(), absl::DataLossError("bad sector"));
  EXPECT_EQ(server_.key_sets().Find("items")->info.version(), 1);
}

TEST_F(KeySetCallsTest, AnUploadEndsAtItsDeadline) {
  const TensorSource source(DataType::kFloat32, {1000, 2}, [](int64_t, absl::Span<char>) {
    absl::SleepFor(absl::Milliseconds(10));
    return absl::OkStatus();
  });
  const auto info =
      client_->PutKeySet("items", source, {.timeout = absl::Milliseconds(50), .chunk_bytes = 1});
  EXPECT_EQ(info.status().code(), absl::StatusCode::kDeadlineExceeded) << info.status();
}

TEST_F(KeySetCallsTest, ShapesThatNobodyHasAreRefusedBeforeTheyAreSent) {
  const auto code = [this](Shape shape, PutKeySetOptions options = {}) {
    return client_->PutKeySet("items", Nothing(std::move(shape)), options).status().code();
  };
  EXPECT_EQ(code({-1, 3}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({int64_t{1} << 62, 2}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({0, 3}, {.chunk_bytes = 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({0, 3}, {.values = Nothing({-1, 3})}), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(server_.key_sets().metadata().empty());
}

TEST_F(KeySetCallsTest, ElementsThatDoNotFitTheirShapeAreRefusedBeforeTheyAreSent) {
  const std::vector<float> six = Counting(6);
  EXPECT_EQ(client_->PutKeySet("items", View(six, {2, 4})).status(),
            absl::InvalidArgumentError("keys: got 24 bytes, expected 32 for FLOAT32 [2, 4]"));
  EXPECT_EQ(
      client_->AppendKeySet("items", 1, View(six, {2, 3}), {.values = View(six, {2, 1})}).status(),
      absl::InvalidArgumentError("values: got 24 bytes, expected 8 for FLOAT32 [2, 1]"));
  EXPECT_TRUE(server_.key_sets().metadata().empty());
}

TEST_F(KeySetCallsTest, ListsAllPagesInOrder) {
  server_.key_sets().SetPageSize(2);
  for (const char* name : {"e", "b", "d", "a", "c"}) {
    ASSERT_TRUE(client_->PutKeySet(name, Nothing({0, 1})).ok());
  }
  const auto sets = client_->ListKeySets();
  ASSERT_TRUE(sets.ok()) << sets.status();
  std::string names;
  for (const KeySetInfo& info : *sets) names += info.name;
  EXPECT_EQ(names, "abcde");
}

TEST_F(KeySetCallsTest, GetsAndDeletesByName) {
  EXPECT_EQ(client_->GetKeySet("items").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_->DeleteKeySet("items").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(client_->PutKeySet("items", Nothing({0, 5})).ok());
  const auto info = client_->GetKeySet("items");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->keys.shape, (Shape{0, 5}));
  EXPECT_FALSE(info->values.has_value());
  EXPECT_TRUE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ(client_->GetKeySet("items").status().code(), absl::StatusCode::kNotFound);
}

// gRPC would end the process if metadata had such a name.
TEST_F(KeySetCallsTest, NamesThatMetadataCannotCarryAreLeftToTheServer) {
  for (const char* name : {"a\nb", "\x7f", "\xc3\xa4", "a b", ""}) {
    EXPECT_EQ(client_->GetKeySet(name).status().code(), absl::StatusCode::kNotFound);
  }
}

TEST_F(KeySetCallsTest, ScoresAgainstAKeySet) {
  const std::vector<float> keys = {1, 0, 0, 1, 1, 1}, queries = {1, 2};
  ASSERT_TRUE(client_->PutKeySet("items", View(keys, {3, 2})).ok());
  const auto result = client_->Score(View(queries, {1, 2}), KeySetReference{"items"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->result.shape, (Shape{1, 3}));
  EXPECT_THAT(result->result.Row<float>(0), ElementsAre(1, 2, 3));
  EXPECT_EQ(result->receipt.key_set_version, 1);

  EXPECT_TRUE(client_->Score(View(queries, {1, 2}), {"items", 1}).ok());
  EXPECT_EQ(client_->Score(View(queries, {1, 2}), {"items", 2}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client_->Score(View(queries, {1, 2}), {"items"}, {.values = View(keys, {3, 2})})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

// --- Calls that any server may answer ------------------------------------------------------------

std::unique_ptr<Client> ClientOf(std::unique_ptr<v1::MockKeySetServiceStub> stub) {
  std::vector<Client::Stubs> stubs(1);
  stubs[0].key_sets = std::move(stub);
  return std::make_unique<Client>(std::move(stubs));
}

TEST(KeySetRepliesTest, AnAnswerBeforeAllWasSentIsNotTrusted) {
  auto stub = std::make_unique<v1::MockKeySetServiceStub>();
  auto* writer = new grpc::testing::MockClientWriter<v1::PutKeySetRequest>();
  EXPECT_CALL(*writer, Write(_, _))
      .WillOnce(testing::Return(true))
      .WillOnce(testing::Return(false));
  EXPECT_CALL(*writer, Finish()).WillOnce(testing::Return(grpc::Status::OK));
  EXPECT_CALL(*stub, PutKeySetRaw(_, _)).WillOnce(testing::Return(writer));
  const std::vector<float> keys = Counting(2);
  const auto info = ClientOf(std::move(stub))->PutKeySet("items", View(keys, {1, 2}));
  EXPECT_EQ(info.status().code(), absl::StatusCode::kInternal) << info.status();
}

TEST(KeySetRepliesTest, APageThatFollowsItselfEndsTheList) {
  auto stub = std::make_unique<v1::MockKeySetServiceStub>();
  EXPECT_CALL(*stub, ListKeySets(_, _, _))
      .Times(2)
      .WillRepeatedly([](auto*, const auto&, v1::ListKeySetsResponse* response) {
        response->set_next_page_token("again");
        return grpc::Status::OK;
      });
  EXPECT_EQ(ClientOf(std::move(stub))->ListKeySets().status().code(), absl::StatusCode::kInternal);
}

TEST(KeySetRepliesTest, AnUnknownElementTypeIsAnError) {
  auto stub = std::make_unique<v1::MockKeySetServiceStub>();
  EXPECT_CALL(*stub, GetKeySet(_, _, _))
      .WillOnce([](auto*, const auto&, v1::GetKeySetResponse* response) {
        response->mutable_key_set()->mutable_keys()->set_data_type(static_cast<v1::DataType>(99));
        return grpc::Status::OK;
      });
  EXPECT_EQ(ClientOf(std::move(stub))->GetKeySet("items").status().code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace qkserve
