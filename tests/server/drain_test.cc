// Callers of servers that are told to stop. tests/interop/drain.sh does the same with
// clients in other languages.

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "grpcpp/generic/generic_stub.h"
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

constexpr int kCallers = 64;

std::unique_ptr<Server> StartServer(const std::string& address = "127.0.0.1:0") {
  ServerOptions options;
  options.listen_address = address;
  options.workers = 2;
  return Server::Start(options).value();
}

// Threads that each call again and again. Half of the threads send small requests, the others
// mid-size ones.
class Callers {
 public:
  explicit Callers(const ClientOptions& options) : client_(Client::Create(options).value()) {
    for (int i = 0; i < kCallers; ++i) threads_.emplace_back([this, i] { Call(i); });
  }
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;
  ~Callers() { Stop(); }

  // Ends each thread after its current call.
  void Stop() {
    stopped_ = true;
    Join();
  }

  // Waits until each thread has ended, which it does at its first error or after Stop.
  void Join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  int64_t answered() const { return answered_; }

  absl::Status last_error() {
    MutexLock lock(&mutex_);
    return last_error_;
  }

  std::map<absl::StatusCode, int> Errors() {
    MutexLock lock(&mutex_);
    return errors_;
  }

 private:
  void Call(int i) {
    const Tensor q = RandomTensor(DataType::kFloat32, {16, 64}, 1);
    const Tensor k = RandomTensor(DataType::kFloat32, {i % 2 == 0 ? 128 : 4096, 64}, 2);
    while (!stopped_) {
      const absl::Status status = client_->Score(q.View(), k.View()).status();
      if (status.ok()) {
        ++answered_;
        continue;
      }
      MutexLock lock(&mutex_);
      ++errors_[status.code()];
      last_error_ = status;
      return;
    }
  }

  const std::unique_ptr<Client> client_;
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> answered_{0};
  Mutex mutex_;
  std::map<absl::StatusCode, int> errors_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;  // last, because they use the members above
};

TEST(DrainTest, CallersOfAServerThatEndsSeeUnavailableAndNothingElse) {
  for (int round = 0; round < 3; ++round) {
    const std::unique_ptr<Server> server = StartServer();
    ConnectedClient(server->address());
    Callers callers({.address = server->address(), .channels = 4, .attempts_max = 1});
    ASSERT_TRUE(Eventually([&] { return callers.answered() > 10 * kCallers; }));
    EXPECT_TRUE(server->Drain().ok());
    callers.Join();
    const std::map<absl::StatusCode, int> all = {{absl::StatusCode::kUnavailable, kCallers}};
    EXPECT_EQ(callers.Errors(), all);
  }
}

TEST(DrainTest, NoCallFailsIfOneOfTwoServersIsRestartedAtATime) {
  std::vector<std::unique_ptr<Server>> servers;
  for (int i = 0; i < 2; ++i) servers.push_back(StartServer());
  const std::vector<std::string> addresses = {servers[0]->address(), servers[1]->address()};
  for (const std::string& address : addresses) ConnectedClient(address);
  // All callers share one channel, so that an answer from a restarted server shows that all of them
  // can reach it. A second channel might still wait before it connects again when the other server
  // ends.
  Callers callers(
      {.address = absl::StrCat("ipv4:", addresses[0], ",", addresses[1]), .channels = 1});
  for (size_t restarted = 0; restarted < 2; ++restarted) {
    ASSERT_TRUE(Eventually([&] { return callers.answered() > 10 * kCallers; }));
    EXPECT_TRUE(servers[restarted]->Drain().ok());
    servers[restarted] = StartServer(addresses[restarted]);
    const auto client = ConnectedClient(addresses[restarted]);
    ASSERT_TRUE(Eventually([&] {
      const auto status = client->GetStatus();
      return status.ok() && status->requests_answered() > kCallers;
    }));
  }
  callers.Stop();
  EXPECT_EQ(callers.Errors(), (std::map<absl::StatusCode, int>())) << callers.last_error();
}

// The message of a large request may be on its way for a long time.
TEST(DrainTest, ACallWhoseRequestHasNotComeWholeIsUnavailable) {
  const std::unique_ptr<Server> server = StartServer();
  const std::shared_ptr<grpc::Channel> channel = ChannelTo(server->address());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto await = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  };
  const auto call = stub.PrepareCall(&context, "/qkserve.v1.ScoringService/Score", &queue);
  call->StartCall(nullptr);
  await();
  // The server has seen the call when it answers the next one on the same connection.
  std::string response;
  ASSERT_TRUE(RawCall(channel, "/qkserve.v1.StatusService/GetStatus", "", &response).ok());
  EXPECT_TRUE(server->Drain().ok());
  grpc::Status status;
  call->Finish(&status, nullptr);
  await();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
}

TEST(DrainTest, ACallThatIsCutIsUnavailable) {
  ServerOptions options;
  options.listen_address = "127.0.0.1:0";
  options.workers = 1;
  options.drain_grace = absl::ZeroDuration();
  options.drain_timeout = absl::Nanoseconds(1);
  const std::unique_ptr<Server> server = Server::Start(options).value();
  const auto client = ConnectedClient(server->address());
  const Tensor q = RandomTensor(DataType::kFloat32, {2000, 4000}, 1);
  absl::Status status;
  std::thread caller([&] { status = client->Score(q.View(), q.View()).status(); });
  const auto observer = ConnectedClient(server->address());
  EXPECT_TRUE(Eventually([&] {
    const auto state = observer->GetStatus();
    return state.ok() && state->in_flight_requests() > 0;
  }));
  EXPECT_EQ(server->Drain().code(), absl::StatusCode::kDeadlineExceeded);
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST(DrainTest, AServerThatDrainsTakesNoConnections) {
  const std::unique_ptr<Server> server = StartServer();
  const std::string address = server->address();
  const auto stub = v1::KeySetService::NewStub(ChannelTo(address));
  grpc::ClientContext context;
  v1::PutKeySetResponse response;
  const auto upload = stub->PutKeySet(&context, &response);
  v1::PutKeySetRequest request;
  request.mutable_header()->set_name("items");
  request.mutable_header()->mutable_keys()->set_data_type(v1::FLOAT32);
  request.mutable_header()->mutable_keys()->add_shape(1);
  request.mutable_header()->mutable_keys()->add_shape(1);
  ASSERT_TRUE(upload->Write(request));
  ASSERT_TRUE(Eventually([&] { return !server->IsIdle(); }));
  std::thread drain([&] { EXPECT_TRUE(server->Drain().ok()); });
  EXPECT_TRUE(Eventually([&] {
    const auto client = Client::Create({.address = address, .attempts_max = 1}).value();
    return absl::IsUnavailable(client->GetStatus().status());
  }));
  // An upload that has begun goes on.
  request.mutable_chunk()->set_keys(std::string(4, '\0'));
  EXPECT_TRUE(upload->Write(request));
  upload->WritesDone();
  EXPECT_TRUE(upload->Finish().ok());
  drain.join();
}

}  // namespace
}  // namespace qkserve
