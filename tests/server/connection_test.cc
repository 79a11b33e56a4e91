// Limits of clients' connections, and how long connections live.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "grpc/health/v1/health.pb.h"
#include "qkserve/client.h"
#include "tests/server/http2_peer.h"
#include "tests/server/key_set_server_test.h"
#include "tests/server/raw_call.h"

namespace qkserve {
namespace {

using ConnectionTest = KeySetServerTest;

TEST_F(ConnectionTest, PingsMayComeAsFastAsTheOptionSays) {
  options_.keepalive_interval_min = absl::ZeroDuration();
  Start();
  Http2Peer peer(server_->port());
  // Pings are sent in rounds. If they all came together, the server would answer even those that
  // are too many.
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) peer.SendPing();
    EXPECT_EQ(peer.ReadPingAnswers(10), 10);
  }
}

TEST_F(ConnectionTest, PingsThatComeFasterEndTheConnection) {
  options_.connection_age = absl::ZeroDuration();
  Start();
  Http2Peer peer(server_->port());
  for (int i = 0; i < 10; ++i) peer.SendPing();
  peer.AwaitEnd();
  EXPECT_TRUE(client_->GetStatus().ok());
}

TEST_F(ConnectionTest, EndAtTheirAge) {
  options_.connection_age = absl::Milliseconds(20);
  Start();
  Http2Peer(server_->port()).AwaitEnd();
}

TEST_F(ConnectionTest, NoCallFailsBecauseItsConnectionIsOld) {
  options_.connection_age = absl::Milliseconds(20);
  Start();
  const auto client = Connect(4);
  std::atomic<bool> go_on = true;
  std::atomic<int> failed = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      while (go_on) {
        const absl::Status status = client->GetStatus(absl::Seconds(60)).status();
        if (status.ok()) continue;
        ++failed;
        ADD_FAILURE() << status;
      }
    });
  }
  for (int i = 0; i < 20; ++i) Http2Peer(server_->port()).AwaitEnd();
  go_on = false;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(failed, 0);
}

TEST_F(ConnectionTest, AnUploadKeepsItsConnectionToItsEnd) {
  options_.connection_age = absl::Milliseconds(20);
  Start();
  const auto stub = KeySets();
  grpc::ClientContext context;
  v1::PutKeySetResponse response;
  const auto upload = stub->PutKeySet(&context, &response);
  v1::PutKeySetRequest request;
  auto& header = *request.mutable_header();
  header.set_name("items");
  header.mutable_keys()->set_data_type(v1::FLOAT32);
  header.mutable_keys()->add_shape(1);
  header.mutable_keys()->add_shape(1);
  ASSERT_TRUE(upload->Write(request));
  for (int i = 0; i < 5; ++i) Http2Peer(server_->port()).AwaitEnd();
  request.mutable_chunk()->set_keys(std::string(4, '\0'));
  EXPECT_TRUE(upload->Write(request));
  upload->WritesDone();
  const grpc::Status status = upload->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ConnectionTest, MetadataOfACallHasALimit) {
  Start();
  const auto call = [this](size_t bytes) {
    grpc::ClientContext context;
    context.AddMetadata("x-long", std::string(bytes, 'a'));
    v1::GetStatusResponse response;
    return v1::StatusService::NewStub(ChannelTo(server_->address()))
        ->GetStatus(&context, {}, &response);
  };
  EXPECT_TRUE(call(kMetadataBytesMax - 1000).ok());
  EXPECT_EQ(call(kMetadataBytesMax + 1).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

class HealthWatch {
 public:
  using Response = grpc::health::v1::HealthCheckResponse;

  HealthWatch(const std::shared_ptr<grpc::Channel>& channel, const std::string& service)
      : stub_(channel) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    const grpc::Slice bytes(request.SerializeAsString());
    call_ = stub_.PrepareCall(&context_, "/grpc.health.v1.Health/Watch", &queue_);
    call_->StartCall(nullptr);
    Await();
    call_->WriteLast(grpc::ByteBuffer(&bytes, 1), grpc::WriteOptions(), nullptr);
    Await();
  }
  ~HealthWatch() {
    context_.TryCancel();
    grpc::Status status;
    call_->Finish(&status, nullptr);
    Await();
  }
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // Returns the next status, or UNKNOWN if the call has ended.
  Response::ServingStatus Next() {
    grpc::ByteBuffer bytes;
    call_->Read(&bytes, nullptr);
    grpc::Slice whole;
    Response response;
    if (!Await() || !bytes.DumpToSingleSlice(&whole).ok()) return Response::UNKNOWN;
    response.ParseFromArray(whole.begin(), static_cast<int>(whole.size()));
    return response.status();
  }

 private:
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
    return ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

TEST_F(ConnectionTest, WatchersOfTheHealthHearOfTheEnd) {
  options_.connection_age = absl::Milliseconds(20);
  options_.drain_grace = absl::Milliseconds(200);  // in this time the clients learn of the drain
  Start();
  using Response = HealthWatch::Response;
  HealthWatch all(ChannelTo(server_->address()), "");
  HealthWatch scoring(ChannelTo(server_->address()), "qkserve.v1.ScoringService");
  HealthWatch unknown(ChannelTo(server_->address()), "nope");
  EXPECT_EQ(all.Next(), Response::SERVING);
  EXPECT_EQ(scoring.Next(), Response::SERVING);
  EXPECT_EQ(unknown.Next(), Response::SERVICE_UNKNOWN);
  for (int i = 0; i < 5; ++i) Http2Peer(server_->port()).AwaitEnd();
  std::thread drain([this] { EXPECT_TRUE(server_->Drain().ok()); });
  EXPECT_EQ(all.Next(), Response::NOT_SERVING);
  EXPECT_EQ(scoring.Next(), Response::NOT_SERVING);
  EXPECT_EQ(unknown.Next(), Response::UNKNOWN);
  drain.join();
}

}  // namespace
}  // namespace qkserve
