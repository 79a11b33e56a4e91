// Metadata of calls: what a server receives, and what the client refuses to send.

#include "qkserve/metadata.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

using ::testing::Contains;
using ::testing::Pair;

using Received = std::multimap<std::string, std::string>;

// Answers UNIMPLEMENTED to every call, and keeps the metadata of the last one.
class Recorder : public v1::ScoringService::Service,
                 public v1::StatusService::Service,
                 public v1::KeySetService::Service {
 public:
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* /*request*/,
                     v1::ScoreResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* /*request*/,
                         v1::GetStatusResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status PutKeySet(grpc::ServerContext* context,
                         grpc::ServerReader<v1::PutKeySetRequest>* /*reader*/,
                         v1::PutKeySetResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status AppendKeySet(grpc::ServerContext* context,
                            grpc::ServerReader<v1::AppendKeySetRequest>* /*reader*/,
                            v1::AppendKeySetResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status GetKeySet(grpc::ServerContext* context, const v1::GetKeySetRequest* /*request*/,
                         v1::GetKeySetResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status ListKeySets(grpc::ServerContext* context, const v1::ListKeySetsRequest* /*request*/,
                           v1::ListKeySetsResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status DeleteKeySet(grpc::ServerContext* context,
                            const v1::DeleteKeySetRequest* /*request*/,
                            v1::DeleteKeySetResponse* /*response*/) override {
    return Record(*context);
  }

  // No lock is needed, because a call begins only after the one before it has ended.
  Received Take() { return std::exchange(received_, {}); }

 private:
  grpc::Status Record(const grpc::ServerContext& context) {
    for (const auto& [name, value] : context.client_metadata()) {
      received_.emplace(std::string(name.data(), name.size()),
                        std::string(value.data(), value.size()));
    }
    return {grpc::StatusCode::UNIMPLEMENTED, "recorded"};
  }

  Received received_;
};

class MetadataTest : public testing::Test {
 protected:
  static std::unique_ptr<grpc::Server> StartServer(Recorder& recorder) {
    grpc::ServerBuilder builder;
    builder.RegisterService(static_cast<v1::ScoringService::Service*>(&recorder));
    builder.RegisterService(static_cast<v1::StatusService::Service*>(&recorder));
    builder.RegisterService(static_cast<v1::KeySetService::Service*>(&recorder));
    return builder.BuildAndStart();
  }

  absl::Status Send(Metadata metadata) {
    return client_.GetStatus(absl::Minutes(1), metadata).status();
  }

  Recorder recorder_;
  const std::unique_ptr<grpc::Server> server_ = StartServer(recorder_);
  Client client_{server_->InProcessChannel({})};
};

TEST_F(MetadataTest, EachCallSendsItsOwn) {
  const float one[] = {1};
  const TensorView tensor = Matrix(one, 1, 1);
  const absl::Duration timeout = absl::Minutes(1);
  const Metadata metadata = {{"x-request-id", "7"}};
  const std::vector<absl::Status> statuses = {
      client_.Score(tensor, tensor, {.timeout = timeout, .metadata = metadata}).status(),
      client_.Score(tensor, {"items"}, {.timeout = timeout, .metadata = metadata}).status(),
      client_.Score(v1::ScoreRequest(), timeout, metadata).status(),
      client_.PutKeySet("items", tensor, {.timeout = timeout, .metadata = metadata}).status(),
      client_.AppendKeySet("items", 1, tensor, {.timeout = timeout, .metadata = metadata}).status(),
      client_.GetKeySet("items", timeout, metadata).status(),
      client_.ListKeySets(timeout, metadata).status(),
      client_.DeleteKeySet("items", timeout, metadata),
      client_.GetStatus(timeout, metadata).status()};
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(status, absl::UnimplementedError("recorded"));
  }
  EXPECT_EQ(recorder_.Take().count("x-request-id"), statuses.size());
}

TEST_F(MetadataTest, AScoreCallNamesItsTenantAndPriority) {
  const float one[] = {1};
  const TensorView tensor = Matrix(one, 1, 1);
  EXPECT_TRUE(absl::IsUnimplemented(client_.Score(tensor, tensor).status()));
  EXPECT_EQ(recorder_.Take().count(kTenantMetadata), 0);
  const ScoreOptions options = {.tenant = "web", .priority = Priority::kLow};
  for (const bool inline_keys : {true, false}) {
    const absl::Status status = inline_keys ? client_.Score(tensor, tensor, options).status()
                                            : client_.Score(tensor, {"items"}, options).status();
    EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
    const Received received = recorder_.Take();
    EXPECT_THAT(received, Contains(Pair("qkserve-tenant", "web")));
    EXPECT_THAT(received, Contains(Pair("qkserve-priority", "low")));
  }
}

TEST_F(MetadataTest, NamesMayRepeatAndBinaryValuesHoldAnyBytes) {
  const std::string bytes("\0\n\xff", 3);
  EXPECT_TRUE(absl::IsUnimplemented(Send({{"authorization", "Bearer x y"},
                                          {"traceparent", "00-1-2-01"},
                                          {"a.b_c-9", "first"},
                                          {"a.b_c-9", ""},
                                          {"state-bin", bytes}})));
  const Received received = recorder_.Take();
  EXPECT_THAT(received, Contains(Pair("authorization", "Bearer x y")));
  EXPECT_THAT(received, Contains(Pair("traceparent", "00-1-2-01")));
  EXPECT_THAT(received, Contains(Pair("a.b_c-9", "first")));
  EXPECT_THAT(received, Contains(Pair("a.b_c-9", "")));
  EXPECT_THAT(received, Contains(Pair("state-bin", bytes)));
}

// gRPC would end the process if metadata had most of these names.
TEST_F(MetadataTest, NamesThatHttp2CannotCarryAreRefused) {
  for (const char* const name : {"", "X-Request-Id", "a b", "a:b", ":path", "caf\xc3\xa9", "a\n"}) {
    const absl::Status status = Send({{"x", "1"}, {name, "1"}});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_TRUE(absl::StartsWith(status.message(), "metadata: got the name '")) << status;
  }
  EXPECT_EQ(Send({{"a\n", ""}}),
            absl::InvalidArgumentError("metadata: got the name 'a\\n', expected lower-case "
                                       "letters, digits, '-', '_' and '.'"));
  EXPECT_TRUE(recorder_.Take().empty());
}

TEST_F(MetadataTest, NamesOfGrpcAndOfTheLibraryAreRefused) {
  for (const absl::string_view name :
       {"grpc-timeout", "content-type", "te", "host", "user-agent", "qkserve-key-set"}) {
    EXPECT_EQ(Send({{std::string(name), "1"}}),
              absl::InvalidArgumentError(
                  absl::StrCat("metadata: the name '", name,
                               "' belongs to gRPC or to the client library; choose another one")));
  }
}

TEST_F(MetadataTest, ErrorsOfValuesTellTheByteAndNotTheValue) {
  EXPECT_EQ(Send({{"authorization", "Bearer secret\n"}}),
            absl::InvalidArgumentError(
                "metadata: the value of 'authorization' has the byte 0x0a at 13, expected "
                "printable ASCII; only names that end in -bin take any bytes"));
  EXPECT_EQ(Send({{"x", "caf\xc3\xa9"}}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace qkserve
