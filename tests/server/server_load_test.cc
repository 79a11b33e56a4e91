// Many callers at once against a real server on loopback.

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "server/server.h"
#include "tests/server/connected_client.h"
#include "tests/server/raw_call.h"
#include "tests/support/process.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

std::string Bytes(const Tensor& tensor) {
  return std::string(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size_bytes());
}

class ServerLoadTest : public testing::Test {
 protected:
  explicit ServerLoadTest(ServerOptions options = {}) {
    options.listen_address = "127.0.0.1:0";
    options.workers = 2;
    options.queue_time_max = absl::Minutes(1);  // machines may be slow
    server_ = Server::Start(options).value();
    client_ = ConnectedClient(server_->address(), 4);
  }

  // A request of 307 GFLOP and 77 MB. It takes two fast workers about a second, so that two
  // requests arrive while the first is computed, even on a busy machine. The reply has 128 KB times
  // `top_k`.
  static v1::ScoreRequest LongRequest(int64_t top_k = 1) {
    static const Tensor* const q = new Tensor(RandomTensor(DataType::kFloat32, {16000, 600}, 1));
    static const Tensor* const k = new Tensor(RandomTensor(DataType::kFloat32, {16000, 600}, 2));
    return MakeScoreRequest(q->View(), k->View(), {.output = Output::kTopK, .top_k = top_k});
  }

  // A call of LongRequest, which keeps both workers busy. It is cancelled when this object ends.
  class LongCall {
   public:
    explicit LongCall(const std::string& address)
        : stub_(v1::ScoringService::NewStub(ChannelTo(address))), caller_([this] {
            v1::ScoreResponse response;
            status_ = stub_->Score(&context_, LongRequest(), &response);
            is_done_ = true;
          }) {}
    ~LongCall() { Cancel(); }

    bool is_done() const { return is_done_; }

    // Cancels the call and returns its status.
    grpc::Status Cancel() {
      context_.TryCancel();
      if (caller_.joinable()) caller_.join();
      return status_;
    }

   private:
    const std::unique_ptr<v1::ScoringService::Stub> stub_;
    grpc::ClientContext context_;
    grpc::Status status_;
    std::atomic<bool> is_done_{false};
    std::thread caller_;  // last, because it uses the members above
  };

  // Waits until at least this many requests are in flight.
  void AwaitInFlight(int64_t requests) const {
    EXPECT_TRUE(Eventually([&] { return StatusOf(*client_).in_flight_requests() >= requests; }));
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ServerLoadTest, ConcurrentRequestsAreBatchedAndGetTheBitsTheyGetAlone) {
  constexpr int kCallers = 64;
  constexpr int kRounds = 20;
  struct Case {
    Tensor q, k;
    std::string alone;
  };
  std::vector<Case> cases;
  for (uint64_t i = 0; i < kCallers; ++i) {
    // The shapes differ. Some requests are too small to be worth a worker.
    const int64_t n = 1 + static_cast<int64_t>(i) % 40;
    Case one = {RandomTensor(DataType::kFloat32, {n * 3, 300}, i),
                RandomTensor(DataType::kFloat32, {200 + n, 300}, i + 1000), ""};
    const absl::StatusOr<ScoreResult> alone = client_->Score(one.q.View(), one.k.View());
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ(alone->receipt.batch_requests, 1);
    one.alone = Bytes(alone->result);
    cases.push_back(std::move(one));
  }
  std::atomic<int64_t> wrong{0};
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> batched{0};
  // The workers are busy while the callers' requests arrive. Without this, a machine whose wire is
  // slower than its workers forms no batch.
  LongCall busy(server_->address());
  AwaitInFlight(1);
  std::vector<std::thread> callers;
  for (const Case& one : cases) {
    callers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const absl::StatusOr<ScoreResult> result = client_->Score(one.q.View(), one.k.View());
        if (!result.ok()) {
          ++failed;
          continue;
        }
        if (Bytes(result->result) != one.alone) ++wrong;
        if (result->receipt.batch_requests > 1) ++batched;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  busy.Cancel();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(batched, 0);
  RecordProperty("batched", std::to_string(batched));
  std::printf("%ld of %d replies came from batches of more than one request\n",
              static_cast<long>(batched), kCallers * kRounds);
}

TEST_F(ServerLoadTest, AShortDeadlineEndsAHugeRequestAndItsWork) {
  const absl::Status status = client_->Score(LongRequest(), absl::Milliseconds(300)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  // The cancelled request's other tiles do not run: nothing is in flight, and nothing was answered.
  EXPECT_TRUE(Eventually([&] { return StatusOf(*client_).in_flight_requests() == 0; }));
  EXPECT_EQ(StatusOf(*client_).requests_answered(), 0);
}

TEST_F(ServerLoadTest, ACancelledRequestStopsAtTheNextTile) {
  LongCall call(server_->address());
  AwaitInFlight(1);
  EXPECT_EQ(call.Cancel().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return StatusOf(*client_).in_flight_requests() == 0; }));
  EXPECT_EQ(StatusOf(*client_).requests_answered(), 0);
}

// Both workers compute the first request. The second request waits in its lane.
TEST_F(ServerLoadTest, RequestsThatAreCancelledWhileTheyWaitAreNotAnswered) {
  const auto channel = ChannelTo(server_->address());
  const auto stub = v1::ScoringService::NewStub(channel);
  constexpr int kCallers = 2;
  std::vector<grpc::ClientContext> contexts(kCallers);
  std::vector<grpc::Status> statuses(kCallers);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      v1::ScoreResponse response;
      statuses[static_cast<size_t>(i)] =
          stub->Score(&contexts[static_cast<size_t>(i)], LongRequest(), &response);
    });
    AwaitInFlight(i + 1);
  }
  for (size_t i = kCallers; i-- > 0;) contexts[i].TryCancel();
  for (std::thread& caller : callers) caller.join();
  for (const grpc::Status& status : statuses) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(Eventually([&] { return StatusOf(*client_).in_flight_requests() == 0; }));
  // On a busy machine, the first request may be answered before it is cancelled.
  EXPECT_LT(StatusOf(*client_).requests_answered(), kCallers);
}

TEST_F(ServerLoadTest, SmallRequestsOvertakeAHugeOne) {
  LongCall huge(server_->address());
  AwaitInFlight(1);
  const Tensor q = RandomTensor(DataType::kFloat32, {16, 64}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {128, 64}, 2);
  int64_t answered_meanwhile = 0;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(client_->Score(q.View(), k.View()).ok());
    if (!huge.is_done()) ++answered_meanwhile;
  }
  huge.Cancel();
  EXPECT_EQ(answered_meanwhile, 5);
}

// The client still reads a reply of 10 MB when the server ends its connection.
TEST_F(ServerLoadTest, DrainLosesNothingThatIsInFlight) {
  absl::Status status;
  std::thread caller(
      [&] { status = client_->Score(LongRequest(80), absl::Seconds(120)).status(); });
  AwaitInFlight(1);
  EXPECT_TRUE(server_->Drain().ok());
  caller.join();
  EXPECT_TRUE(status.ok()) << status;
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 3}, 1);
  EXPECT_EQ(client_->Score(q.View(), q.View()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerLoadTest, EveryRequestDuringADrainIsAnsweredOrTurnedAway) {
  const Tensor q = RandomTensor(DataType::kFloat32, {40, 100}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {300, 100}, 2);
  std::atomic<int64_t> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      absl::Status status;
      while (status.ok()) {
        status = client_->Score(q.View(), k.View()).status();
        if (status.ok()) ++answered;
      }
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    });
  }
  EXPECT_TRUE(Eventually([&] { return answered >= 50; }));
  EXPECT_TRUE(server_->Drain().ok());
  for (std::thread& caller : callers) caller.join();
}

class ShortQueueTest : public ServerLoadTest {
 protected:
  static ServerOptions Options() {
    ServerOptions options;
    options.queue_requests_max = 1;
    return options;
  }
  ShortQueueTest() : ServerLoadTest(Options()) {}
};

TEST_F(ShortQueueTest, ARefusalSaysWhenToTryAgain) {
  const auto stub = v1::ScoringService::NewStub(ChannelTo(server_->address()));
  grpc::ClientContext huge_context;
  std::thread huge([&] {
    v1::ScoreResponse response;
    (void)stub->Score(&huge_context, LongRequest(), &response);
  });
  AwaitInFlight(1);
  const Tensor q = RandomTensor(DataType::kFloat32, {16, 64}, 1);
  grpc::ClientContext context;
  v1::ScoreResponse response;
  const grpc::Status status =
      stub->Score(&context, MakeScoreRequest(q.View(), q.View(), {}), &response);
  huge_context.TryCancel();
  huge.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto push_back = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(push_back, trailers.end());
  const int ms = std::stoi(std::string(push_back->second.data(), push_back->second.size()));
  EXPECT_GE(ms, 10);
  EXPECT_LE(ms, 2000);
}

}  // namespace
}  // namespace qkserve
