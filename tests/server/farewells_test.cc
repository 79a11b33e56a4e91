// Peers that still read a reply when the server ends their connection. Each of these tests fails if
// gRPC's sockets are not kept (server/lifecycle/farewells.h).

#include <memory>
#include <string>
#include <thread>

#include "tests/server/http2_peer.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

class SlowReaderTest : public KeySetServerTest {
 protected:
  SlowReaderTest() { options_.connection_age = absl::ZeroDuration(); }

  // Starts a server, and a call whose reply has 4 MB. The peer's system takes little of it at a
  // time, so that the rest waits on the server's side.
  void Begin() {
    Start();
    peer_ = std::make_unique<Http2Peer>(server_->port(), "", 64 << 10);
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
  std::thread drain([this] { EXPECT_TRUE(server_->Drain().ok()); });
  ExpectReply();
  peer_ = nullptr;
  drain.join();
}

TEST_F(SlowReaderTest, AConnectionEndsByItsAgeWhenAReplyIsReadWhole) {
  options_.connection_age = absl::Milliseconds(50);
  Begin();
  ExpectReply();
}

}  // namespace
}  // namespace qkserve
