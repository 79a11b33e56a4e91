// Peers that are slow, silent, or flood the server. Each test checks what happens to the peer, and
// that others are served meanwhile.

#include <malloc.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "qkserve/client.h"
#include "server/limits.h"
#include "tests/server/http2_peer.h"
#include "tests/server/key_set_server_test.h"
#include "tests/server/raw_call.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

constexpr char kScore[] = "/qkserve.v1.ScoringService/Score";
constexpr char kGetStatus[] = "/qkserve.v1.StatusService/GetStatus";
constexpr absl::Duration kShort = absl::Milliseconds(50);
// The timeout also holds for the client. It is long enough for a client on a busy machine.
constexpr absl::Duration kPingAnswer = absl::Seconds(1);

class BadPeersTest : public KeySetServerTest {
 protected:
  BadPeersTest() { options_.connection_age = absl::ZeroDuration(); }

  // A request of 8 KB. Its reply has 4 MB, and its charge is 12 MB.
  static v1::ScoreRequest LargeReply() {
    const Tensor column = Floats({1000, 1}, 1);
    return MakeScoreRequest(column.View(), column.View(), {});
  }
  absl::Status ScoreLarge() const {
    return client_->Score(LargeReply(), absl::Seconds(60)).status();
  }
  void ExpectOthersAreServed() const {
    const absl::Status status = client_->GetStatus(absl::Seconds(10)).status();
    EXPECT_TRUE(status.ok()) << status;
  }
};

// --- Slow and silent peers ----------------------------------------------------------------------

TEST_F(BadPeersTest, AHandshakeThatDoesNotEndIsCut) {
  options_.handshake_timeout = kShort;
  Start();
  TcpPeer silent(server_->port());
  TcpPeer slow(server_->port());
  slow.Write("PRI * HTTP/2.0\r\n");
  silent.ReadToEnd();
  slow.ReadToEnd();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, HeadersThatDoNotEndAreCutWhenThePeerAnswersNoPing) {
  options_.ping_after = kShort;
  options_.ping_timeout = kPingAnswer;
  Start();
  Http2Peer peer(server_->port());
  // Between parts of headers nothing else may be sent, not even the answer to a ping.
  peer.SendFrame(Http2Peer::kHeaders, Http2Peer::CallHeaders(kScore), 0, 1);
  peer.AwaitEndInSilence();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, ARequestThatDoesNotEndIsCutAfterTheConnectionsAgeAndGrace) {
  options_.connection_age = kShort;
  options_.connection_grace = kShort;
  Start();
  Http2Peer peer(server_->port());
  peer.BeginCall(1, kScore);
  peer.SendFrame(Http2Peer::kData, Http2Peer::Message(std::string(100, 'a')).substr(0, 50), 0, 1);
  peer.AwaitEnd();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, APeerThatVanishesIsCutWhenItAnswersNoPing) {
  options_.ping_after = kShort;
  options_.ping_timeout = kPingAnswer;
  Start();
  Http2Peer peer(server_->port());
  peer.BeginCall(1, kScore);
  peer.AwaitEndInSilence();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, APeerThatVanishesAfterManyPingsIsCut) {
  options_.ping_after = kShort;
  options_.ping_timeout = kPingAnswer;
  Start();
  Http2Peer peer(server_->port());
  for (int i = 0; i < 4; ++i) peer.AnswerPing();
  peer.AwaitEndInSilence();
  ExpectOthersAreServed();
}

// --- Peers that do not read ---------------------------------------------------------------------

TEST_F(BadPeersTest, AReplyThatIsNotTakenCountsUntilItsTimeout) {
  FakeClock clock;
  options_.in_flight_bytes_max = 16 * kMiB;
  Start(&clock);
  Http2Peer peer(server_->port(), Http2Peer::ReplyWindow(0));
  peer.SendCall(1, kScore, LargeReply().SerializeAsString());
  EXPECT_TRUE(Eventually([&] { return StatusOf(*client_).in_flight_bytes() > 0; }));
  EXPECT_TRUE(absl::IsResourceExhausted(ScoreLarge()));
  // The time begins when the reply is ready, which is some time after it was charged.
  EXPECT_TRUE(Eventually([&] {
    clock.Advance(kReplyTimeout);
    return ScoreLarge().ok();
  }));
  server_ = nullptr;  // the server must end before its clock
}

TEST_F(BadPeersTest, AConnectionThatIsNotReadIsCut) {
  options_.unsent_timeout = absl::Milliseconds(300);
  Start();
  constexpr uint32_t kWindow = 1U << 30;
  Http2Peer peer(server_->port(), Http2Peer::ReplyWindow(kWindow));
  peer.SendFrame(Http2Peer::kWindow, Http2Peer::ReplyWindow(kWindow).substr(2));
  // The replies have 28 MB, more than the system buffers. The requests are so small that they need
  // no window from the server.
  for (int i = 0; i < 7; ++i) {
    peer.SendCall(2 * i + 1, kScore, LargeReply().SerializeAsString());
  }
  ASSERT_TRUE(Eventually([&] { return !server_->IsIdle(); }));
  EXPECT_TRUE(Eventually([&] { return server_->IsIdle(); }));
  ExpectOthersAreServed();
}

// --- Floods -------------------------------------------------------------------------------------

// The bytes that the whole process has allocated. Freed bytes do not count, although the allocator
// may keep them.
int64_t AllocatedBytes() {
  const struct mallinfo2 memory = mallinfo2();
  return static_cast<int64_t>(memory.uordblks + memory.hblkhd);
}

TEST_F(BadPeersTest, CallsThatAreResetAtOnceAreForgotten) {
  Start();
  ExpectOthersAreServed();
  const int64_t before = AllocatedBytes();
  {
    Http2Peer peer(server_->port());
    constexpr int kCalls = 2000;
    for (int i = 0; i < kCalls; ++i) {
      const int stream = 2 * i + 1;
      peer.BeginCall(stream, kScore);
      peer.SendFrame(Http2Peer::kReset, std::string({0, 0, 0, 8}), 0, stream);
      if (i % 500 == 0) ExpectOthersAreServed();
    }
    ExpectOthersAreServed();
  }
  EXPECT_TRUE(Eventually([this] { return server_->IsIdle(); }));
  // gRPC takes 8 KB for each call, 16 MB for all these calls.
  EXPECT_TRUE(Eventually([before] { return AllocatedBytes() - before < 4 * kMiB; }));
}

TEST_F(BadPeersTest, OthersAreServedBesideHeadersWithoutEndWhichAreCutWhenThePeerFallsSilent) {
  options_.ping_after = kShort;
  options_.ping_timeout = kPingAnswer;
  Start();
  Http2Peer peer(server_->port());
  peer.SendFrame(Http2Peer::kHeaders, Http2Peer::CallHeaders(kScore), 0, 1);
  std::string many;
  while (many.size() < 16'000) many += Http2Peer::Header("x-more", std::string(100, 'a'));
  for (int i = 0; i < 500; ++i) {
    peer.SendFrame(Http2Peer::kContinuation, many, 0, 1);
    ExpectOthersAreServed();
  }
  peer.AwaitEndInSilence();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, AMessageInFramesOfOneByteIsAnswered) {
  Start();
  const v1::ScoreRequest request =
      MakeScoreRequest(Floats({1, 1}, 1).View(), Floats({1000, 1}, 2).View(), {});
  const std::string bytes = Http2Peer::Message(request.SerializeAsString());
  Http2Peer peer(server_->port());
  peer.BeginCall(1, kScore);
  for (size_t i = 0; i < bytes.size(); ++i) {
    peer.SendFrame(Http2Peer::kData, bytes.substr(i, 1),
                   i + 1 == bytes.size() ? Http2Peer::kEndStream : 0, 1);
  }
  EXPECT_TRUE(peer.AwaitReply());
  ExpectOthersAreServed();
}

// --- Limits of calls ----------------------------------------------------------------------------

// gRPC's clients read the limit and wait.
TEST_F(BadPeersTest, APeerThatBeginsMoreCallsThanItMayIsRefused) {
  Start();
  Http2Peer peer(server_->port());
  peer.AcknowledgeSettings();
  for (int i = 0; i < kConnectionCallsMax; ++i) peer.BeginCall(2 * i + 1, kScore);
  EXPECT_TRUE(peer.IsServed());
  peer.BeginCall(2 * kConnectionCallsMax + 1, kScore);
  peer.AwaitRefusal();
  ExpectOthersAreServed();
}

TEST_F(BadPeersTest, ConnectionsBeyondTheLimitAreClosedAtOnceUntilAPlaceIsFree) {
  std::atomic<int> refused = 0;
  options_.connections_max = 3;
  options_.connections_per_peer_max = 3;
  options_.log = [&refused](const LogEvent& event) {
    if (event.message == "connection refused: connections_max = 3 are open") ++refused;
  };
  Start();
  auto one = std::make_unique<Http2Peer>(server_->port());
  Http2Peer other(server_->port());
  EXPECT_TRUE(one->IsServed());
  EXPECT_TRUE(other.IsServed());
  EXPECT_FALSE(Http2Peer(server_->port()).IsServed());
  EXPECT_FALSE(Http2Peer(server_->port()).IsServed());
  ExpectOthersAreServed();
  EXPECT_EQ(refused, 1);  // the second refusal is not logged
  one = nullptr;
  EXPECT_TRUE(Eventually([&] { return Http2Peer(server_->port()).IsServed(); }));
  server_ = nullptr;  // the server must end before `refused`
}

TEST_F(BadPeersTest, OneAddressCannotTakeAllConnections) {
  options_.connections_max = 4;
  Start();
  Http2Peer one(server_->port());
  EXPECT_TRUE(one.IsServed());
  EXPECT_FALSE(Http2Peer(server_->port()).IsServed());
}

TEST_F(BadPeersTest, ACallWithoutAMessageIsToldSo) {
  Start();
  grpc::GenericStub stub(ChannelTo(server_->address()));
  for (const char* method : {kScore, kGetStatus, "/qkserve.v1.KeySetService/DeleteKeySet",
                             "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, method, &queue);
    grpc::Status status;
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    call->WritesDone(nullptr);
    queue.Next(&tag, &ok);
    call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
    EXPECT_EQ(status.error_message(), "the call ended without a whole message, expected one");
  }
}

}  // namespace
}  // namespace qkserve
