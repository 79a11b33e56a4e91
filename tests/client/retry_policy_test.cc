#include "client/retry_policy.h"

#include <atomic>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "qkserve/client.h"

namespace qkserve {
namespace {

// Answers the first calls with an error.
class FailingService : public v1::ScoringService::Service, public v1::KeySetService::Service {
 public:
  // The next `count` calls fail with `code`, and with `push_back` as metadata unless it is empty.
  void Fail(int count, grpc::StatusCode code, std::string push_back = "") {
    failures_ = count;
    code_ = code;
    push_back_ = std::move(push_back);
    calls_ = 0;
  }

  int calls() const { return calls_; }

  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* /*request*/,
                     v1::ScoreResponse* /*response*/) override {
    return Next(context);
  }
  grpc::Status GetKeySet(grpc::ServerContext* context, const v1::GetKeySetRequest* /*request*/,
                         v1::GetKeySetResponse* /*response*/) override {
    return Next(context);
  }
  grpc::Status DeleteKeySet(grpc::ServerContext* context,
                            const v1::DeleteKeySetRequest* /*request*/,
                            v1::DeleteKeySetResponse* /*response*/) override {
    return Next(context);
  }
  grpc::Status PutKeySet(grpc::ServerContext* context,
                         grpc::ServerReader<v1::PutKeySetRequest>* /*reader*/,
                         v1::PutKeySetResponse* /*response*/) override {
    return Next(context);
  }
  grpc::Status AppendKeySet(grpc::ServerContext* context,
                            grpc::ServerReader<v1::AppendKeySetRequest>* /*reader*/,
                            v1::AppendKeySetResponse* /*response*/) override {
    return Next(context);
  }

 private:
  grpc::Status Next(grpc::ServerContext* context) {
    ++calls_;
    if (failures_-- <= 0) return grpc::Status::OK;
    if (!push_back_.empty()) context->AddTrailingMetadata("grpc-retry-pushback-ms", push_back_);
    return grpc::Status(code_, "failing");
  }

  std::atomic<int> failures_{0};
  std::atomic<int> calls_{0};
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  std::string push_back_;
};

class RetryPolicyTest : public testing::Test {
 protected:
  RetryPolicyTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(static_cast<v1::ScoringService::Service*>(&service_));
    builder.RegisterService(static_cast<v1::KeySetService::Service*>(&service_));
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
    client_ = Client::Create({.address = address_}).value();
  }

  absl::Status Score(int64_t bytes = 4) {
    v1::ScoreRequest request;
    request.mutable_queries()->set_data(std::string(static_cast<size_t>(bytes), 'x'));
    return client_->Score(request, absl::Seconds(60)).status();
  }

  FailingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::unique_ptr<Client> client_;
};

TEST_F(RetryPolicyTest, CallsThatChangeNothingAreTriedFourTimes) {
  service_.Fail(3, grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Score().ok());
  EXPECT_EQ(service_.calls(), 4);
  service_.Fail(100, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(client_->GetKeySet("items").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(service_.calls(), 4);
}

// A call that failed may have made its change.
TEST_F(RetryPolicyTest, ChangesAreTriedOnce) {
  const float element = 1;
  const TensorView key = {DataType::kFloat32, {1, 1}, reinterpret_cast<const std::byte*>(&element)};
  service_.Fail(3, grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(client_->PutKeySet("items", key).ok());
  EXPECT_FALSE(client_->AppendKeySet("items", 1, key).ok());
  EXPECT_FALSE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ(service_.calls(), 3);
}

TEST_F(RetryPolicyTest, OtherErrorsAreNotTriedAgain) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::CANCELLED, grpc::StatusCode::INTERNAL,
        grpc::StatusCode::DEADLINE_EXCEEDED}) {
    service_.Fail(1, code);
    EXPECT_FALSE(Score().ok());
    EXPECT_EQ(service_.calls(), 1);
  }
}

TEST_F(RetryPolicyTest, TheServerSaysWhenToTryAgain) {
  service_.Fail(1, grpc::StatusCode::RESOURCE_EXHAUSTED, "1500");
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(Score().ok());
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(1400));
  service_.Fail(1, grpc::StatusCode::RESOURCE_EXHAUSTED, "-1");
  EXPECT_FALSE(Score().ok());
  EXPECT_EQ(service_.calls(), 1);
}

TEST_F(RetryPolicyTest, RequestsUpTo16MiBAreSentAgain) {
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Score(15 << 20).ok());
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(Score(17 << 20).ok());
}

TEST_F(RetryPolicyTest, OneAttemptIsNoRetry) {
  client_ = Client::Create({.address = address_, .attempts_max = 1}).value();
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(Score().ok());
  EXPECT_EQ(Client::Create({.attempts_max = 6}).status().message(),
            "attempts_max must be from 1 to 5; was 6");
  EXPECT_EQ(Client::Create({.attempts_max = 0}).status().message(),
            "attempts_max must be from 1 to 5; was 0");
}

TEST(RetryServiceConfigTest, IsTheOneOfTheDocuments) {
  std::stringstream text;
  text << std::ifstream(CLIENTS_DOCUMENT).rdbuf();
  const std::string document = text.str();
  const std::string fence = "```json\n";
  const size_t begin = document.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = document.find("```", begin + fence.size());
  const auto shown =
      nlohmann::json::parse(document.substr(begin + fence.size(), end - begin - fence.size()));
  EXPECT_EQ(shown, nlohmann::json::parse(RetryServiceConfig(ClientOptions().attempts_max)));
}

}  // namespace
}  // namespace qkserve
