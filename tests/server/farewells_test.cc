// Peers that still read a reply when the server ends their connection. Each of these tests fails if
// gRPC's sockets are not kept (server/lifecycle/farewells.h). qkserve_process_test.cc has the same
// test of the program.

#include "server/lifecycle/farewells.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/time/clock.h"
#include "base/log.h"
#include "server/limits.h"
#include "tests/server/http2_peer.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

class SlowReaderTest : public KeySetServerTest {
 protected:
  SlowReaderTest() { options_.connection_age = absl::ZeroDuration(); }

  // Starts a server, and a call whose reply has 4 MB. The peer's system takes little of it at a
  // time, so that the rest waits on the server's side.
  void Begin(int receive_buffer_bytes = 64 << 10) {
    Start();
    client_ = nullptr;  // a drain would await this idle client, too
    peer_ = std::make_unique<Http2Peer>(server_->port(), "", receive_buffer_bytes);
    const Tensor column = Floats({1000, 1}, 1);
    peer_->SendCall(1, "/qkserve.v1.ScoringService/Score",
                    MakeScoreRequest(column.View(), column.View(), {}).SerializeAsString());
  }

  void ExpectReply() {
    const std::string reply = peer_->ReadReplyAfterGoaway(1);
    ASSERT_GT(reply.size(), Http2Peer::Message("").size());
    v1::ScoreResponse response;
    ASSERT_TRUE(response.ParseFromString(reply.substr(Http2Peer::Message("").size())));
    EXPECT_EQ(response.result().data().size(), 4'000'000);
  }

  std::unique_ptr<Http2Peer> peer_;
};

TEST_F(SlowReaderTest, ADrainEndsWhenAReplyIsReadWhole) {
  Begin();
  ASSERT_TRUE(Eventually([this] { return !server_->IsIdle(); }));
  std::atomic<bool> has_ended = false;
  std::thread drain([&] {
    EXPECT_TRUE(server_->Drain().ok());
    has_ended = true;
  });
  ExpectReply();
  // Without a wait for the peer, the drain would end in this time.
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_FALSE(has_ended);
  peer_ = nullptr;
  drain.join();
}

TEST_F(SlowReaderTest, ADrainAwaitsAllPeers) {
  options_.connections_per_peer_max = 2 * kFarewellsMax;
  Start();
  std::vector<std::unique_ptr<Http2Peer>> peers;
  while (ssize(peers) <= kFarewellsMax) {
    peers.push_back(std::make_unique<Http2Peer>(server_->port()));
    ASSERT_TRUE(peers.back()->IsServed());
  }
  std::thread drain([this] { EXPECT_TRUE(server_->Drain().ok()); });
  EXPECT_TRUE(Eventually([] { return Farewells::OfProcess().count() > kFarewellsMax; }));
  peers.clear();
  drain.join();
}

TEST_F(SlowReaderTest, ADrainLogsConnectionsThatItCuts) {
  std::atomic<int64_t> cut = 0;
  options_.log = [&cut](const LogEvent& event) {
    if (event.message == "connections are cut before their clients have read all replies") {
      cut = std::get<int64_t>(event.fields.at(0).second);
    }
  };
  options_.drain_timeout = absl::Nanoseconds(1);
  Begin(4096);  // less than the rest of the reply's first window
  ASSERT_TRUE(peer_->AwaitReply());
  EXPECT_EQ(server_->Drain().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(cut, 1);
  server_ = nullptr;  // the server must end before `cut`
}

TEST_F(SlowReaderTest, AConnectionEndsByItsAgeWhenAReplyIsReadWhole) {
  options_.connection_age = absl::Milliseconds(50);
  Begin();
  ExpectReply();
}

}  // namespace
}  // namespace qkserve
