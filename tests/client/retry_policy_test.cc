#include "client/retry_policy.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

// Answers the first calls with an error.
class FailingService : public v1::ScoringService::Service, public v1::KeySetService::Service {
 public:
  // The next `count` calls fail with `code`, and have `push_back` as metadata unless it is empty.
  // Later calls end with `then`.
  void Fail(int count, grpc::StatusCode code, std::string push_back = "",
            grpc::Status then = grpc::Status::OK) {
    failures_ = count;
    code_ = code;
    push_back_ = std::move(push_back);
    then_ = std::move(then);
    calls_ = 0;
    MutexLock lock(&mutex_);
    peers_.clear();
  }

  int calls() const { return calls_; }

  // Returns the connections of the calls, in order.
  std::vector<std::string> peers() const {
    MutexLock lock(&mutex_);
    return peers_;
  }

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
                         grpc::ServerReader<v1::PutKeySetRequest>* reader,
                         v1::PutKeySetResponse* /*response*/) override {
    return NextUpload(context, reader);
  }
  grpc::Status AppendKeySet(grpc::ServerContext* context,
                            grpc::ServerReader<v1::AppendKeySetRequest>* reader,
                            v1::AppendKeySetResponse* /*response*/) override {
    return NextUpload(context, reader);
  }

 private:
  template <typename Request>
  grpc::Status NextUpload(grpc::ServerContext* context, grpc::ServerReader<Request>* reader) {
    Request request;
    while (reader->Read(&request)) {
    }
    return Next(context);
  }

  grpc::Status Next(grpc::ServerContext* context) {
    ++calls_;
    {
      MutexLock lock(&mutex_);
      peers_.push_back(context->peer());
    }
    if (failures_-- <= 0) return then_;
    if (!push_back_.empty()) context->AddTrailingMetadata("grpc-retry-pushback-ms", push_back_);
    return grpc::Status(code_, "failing");
  }

  std::atomic<int> failures_{0};
  std::atomic<int> calls_{0};
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  std::string push_back_;
  grpc::Status then_;
  mutable Mutex mutex_;
  std::vector<std::string> peers_ ABSL_GUARDED_BY(mutex_);
};

const float kElement = 1;
const TensorView kKey = {DataType::kFloat32, {1, 1}, reinterpret_cast<const std::byte*>(&kElement)};

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
  EXPECT_EQ(client_->GetKeySet("items").status(),
            absl::UnavailableError("failing (attempt 4 of 4)"));
  EXPECT_EQ(service_.calls(), 4);
  const RetryCounts counts = client_->retry_counts();
  EXPECT_EQ(counts.calls, 2);
  EXPECT_EQ(counts.retries, 6);
  EXPECT_EQ(counts.recovered, 1);
  EXPECT_EQ(counts.over_budget, 0);
}

// A proxy may reset a call whose server ended.
TEST_F(RetryPolicyTest, UnknownErrorsOfCallsThatChangeNothingAreTriedAgain) {
  service_.Fail(1, grpc::StatusCode::UNKNOWN);
  EXPECT_TRUE(Score().ok());
  service_.Fail(1, grpc::StatusCode::UNKNOWN);
  EXPECT_FALSE(client_->PutKeySet("items", kKey).ok());
}

// A call that failed may have made its change.
TEST_F(RetryPolicyTest, ChangesAreTriedOnce) {
  service_.Fail(2, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(client_->PutKeySet("items", kKey).status(), absl::UnavailableError("failing"));
  EXPECT_FALSE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ(service_.calls(), 2);
}

TEST_F(RetryPolicyTest, ChangesAreTriedAgainIfTheServerDidNothing) {
  service_.Fail(1, grpc::StatusCode::RESOURCE_EXHAUSTED, "0");
  EXPECT_TRUE(client_->PutKeySet("items", kKey).ok());
  EXPECT_EQ(service_.calls(), 2);
  // No server listens on this port.
  const ClosedPort port;
  const auto client = Client::Create({.address = port.address(), .attempts_max = 2}).value();
  EXPECT_TRUE(absl::EndsWith(client->DeleteKeySet("items").message(), " (attempt 2 of 2)"));
}

TEST_F(RetryPolicyTest, AnAppendIsTriedAgain) {
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(client_->AppendKeySet("items", 1, kKey).ok());
  EXPECT_EQ(service_.calls(), 2);
  // The first attempt's answer was lost.
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE, "",
                grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "is at version 2"));
  EXPECT_EQ(client_->AppendKeySet("items", 1, kKey).status(),
            absl::FailedPreconditionError(
                "is at version 2 (attempt 2 of 4; an earlier attempt may have made this change: "
                "GetKeySet tells)"));
}

TEST_F(RetryPolicyTest, ASourceThatFailsEndsTheCall) {
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  int reads = 0;
  const TensorSource source(DataType::kFloat32, {1, 1}, [&](int64_t offset, absl::Span<char> out) {
    EXPECT_EQ(offset, 0);
    std::fill(out.begin(), out.end(), 'x');
    return ++reads == 1 ? absl::OkStatus() : absl::DataLossError("cannot be read twice");
  });
  EXPECT_EQ(client_->AppendKeySet("items", 1, source).status(),
            absl::DataLossError("cannot be read twice"));
  EXPECT_EQ(reads, 2);
}

TEST_F(RetryPolicyTest, ARetryUsesAnotherConnection) {
  for (const int channels : {1, 3}) {
    client_ = Client::Create({.address = address_, .channels = channels}).value();
    service_.Fail(2, grpc::StatusCode::UNAVAILABLE, "0");
    EXPECT_TRUE(Score().ok());
    const std::vector<std::string> peers = service_.peers();
    ASSERT_EQ(peers.size(), 3u);
    EXPECT_NE(peers[0], peers[1]);
    EXPECT_NE(peers[1], peers[2]);
  }
}

TEST_F(RetryPolicyTest, TheTimeoutBoundsAllAttempts) {
  service_.Fail(100, grpc::StatusCode::RESOURCE_EXHAUSTED, "60000");
  const absl::Time begin = absl::Now();
  const absl::Status status = client_->GetKeySet("items", absl::Seconds(30)).status();
  EXPECT_EQ(status, absl::ResourceExhaustedError("failing"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(25));
  EXPECT_EQ(service_.calls(), 1);
}

TEST_F(RetryPolicyTest, TheBudgetEndsRetries) {
  service_.Fail(1000, grpc::StatusCode::UNAVAILABLE, "0");
  for (int i = 0; i < 50; ++i) {
    const absl::Status status = Score();
    const bool is_over = absl::StrContains(status.message(), "budget of retries is spent");
    EXPECT_EQ(is_over, i >= 34) << i << ": " << status;
  }
  // The bound is a little above 100, because a tenth of the 50 calls adds to the budget.
  EXPECT_GE(client_->retry_counts().retries, 100);
  EXPECT_LE(client_->retry_counts().retries, 106);
  EXPECT_GE(client_->retry_counts().over_budget, 14);
}

// Programs with their own stubs have no Client that retries for them.
TEST_F(RetryPolicyTest, ChannelsRetryByThemselves) {
  service_.Fail(3, grpc::StatusCode::UNAVAILABLE);
  const auto channels = MakeChannels({.address = address_}).value();
  const auto stub = v1::ScoringService::NewStub(channels[0]);
  grpc::ClientContext context;
  v1::ScoreResponse response;
  EXPECT_TRUE(stub->Score(&context, {}, &response).ok());
  EXPECT_EQ(service_.calls(), 4);
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
  // The client does not retry if the push-back is negative or no number, or if RESOURCE_EXHAUSTED
  // comes without one.
  for (const auto& [code, push_back] : {std::pair(grpc::StatusCode::RESOURCE_EXHAUSTED, "-1"),
                                        {grpc::StatusCode::RESOURCE_EXHAUSTED, ""},
                                        {grpc::StatusCode::UNAVAILABLE, "soon"}}) {
    service_.Fail(1, code, push_back);
    EXPECT_FALSE(Score().ok());
    EXPECT_EQ(service_.calls(), 1);
  }
}

TEST_F(RetryPolicyTest, LargeRequestsAreSentAgain) {
  service_.Fail(1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Score(17 << 20).ok());
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

TEST(RetryPauseTest, DoublesUpToASecondAndIsHalfRandom) {
  const FailedAttempt attempt;
  EXPECT_EQ(RetryPause(1, attempt, 0), absl::Milliseconds(50));
  EXPECT_EQ(RetryPause(2, attempt, 0), absl::Milliseconds(100));
  EXPECT_LE(RetryPause(2, attempt, 0.999), absl::Milliseconds(200));
  EXPECT_GE(RetryPause(2, attempt, 0.999), absl::Milliseconds(199));
  EXPECT_EQ(RetryPause(30, attempt, 0), absl::Milliseconds(500));
  EXPECT_EQ(RetryPause(3, {.push_back = absl::Milliseconds(7)}, 0.5), absl::Milliseconds(7));
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
