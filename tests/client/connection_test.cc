// Connections of the client: a channel that the program made itself, and pings.

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/connection_hint.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/support/fake_server.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

TEST(ClientTest, UsesAChannelOfTheProgramsOwn) {
  const FakeServer server;
  const auto channel = grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials());
  Client client(channel);
  EXPECT_TRUE(client.ListKeySets(kPatience).ok());
  EXPECT_EQ(channel->GetState(false), GRPC_CHANNEL_READY);
}

// Asks a server that is not there. Returns the error's text.
std::string ErrorOf(const std::string& address) {
  const auto client = Client::Create({.address = address, .attempts_max = 1}).value();
  const absl::Status status = client->GetStatus(kPatience).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  return std::string(status.message());
}

TEST(ClientTest, SaysWhyThereIsNoConnection) {
  const ClosedPort port;
  EXPECT_THAT(ErrorOf(port.address()), testing::StartsWith("nothing listens at the address ("));
  EXPECT_THAT(ErrorOf("unix:/tmp/there/is/no/socket"),
              testing::StartsWith("nothing listens at the address ("));
  // A proxy answers, and says that it does not reach the server.
  EXPECT_EQ(ConnectionHint("upstream connect error: delayed connect error: Connection refused"),
            "");
  EXPECT_EQ(ConnectionHint("errors resolving nohost: [C-ares status is not ARES_SUCCESS qtype=A]"),
            "the host's name cannot be resolved");
  EXPECT_EQ(ConnectionHint("last error: Trying to connect an http1.x server"),
            "an HTTP/1 server answers at this port; check the port of gRPC");
}

// A server that opens an HTTP/2 connection and then says nothing, like one whose machine lost its
// power.
class SilentServer {
 public:
  SilentServer()
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address_(BindToLoopback(socket_)) {
    EXPECT_EQ(listen(socket_, 8), 0);
    thread_ = std::thread([this] {
      const int peer = accept(socket_, nullptr, nullptr);
      close(socket_);  // nobody answers another attempt
      constexpr char kSettings[9] = {0, 0, 0, /*type=*/4, 0, 0, 0, 0, 0};
      EXPECT_EQ(write(peer, kSettings, sizeof(kSettings)), 9);
      char bytes[4096];
      while (read(peer, bytes, sizeof(bytes)) > 0) {
      }
      close(peer);
    });
  }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  ~SilentServer() { thread_.join(); }

  // Returns "127.0.0.1:PORT".
  const std::string& address() const { return address_; }

 private:
  const int socket_;
  const std::string address_;
  std::thread thread_;
};

TEST(KeepaliveTest, ACallEndsWhenItsServerAnswersNoPing) {
  SilentServer server;
  const auto client = Client::Create({.address = server.address(),
                                      .keepalive_interval = absl::Milliseconds(50),
                                      .keepalive_timeout = absl::Milliseconds(50)})
                          .value();
  EXPECT_EQ(client->GetStatus(kPatience).status().code(), absl::StatusCode::kUnavailable);
}

TEST(KeepaliveTest, TimesThatAreNotPositiveAreRefused) {
  EXPECT_EQ(Client::Create({.keepalive_interval = absl::ZeroDuration()}).status(),
            absl::InvalidArgumentError("keepalive_interval must be at least 1ms; was 0"));
  EXPECT_EQ(Client::Create({.keepalive_timeout = -absl::Seconds(1)}).status(),
            absl::InvalidArgumentError("keepalive_timeout must be at least 1ms; was -1s"));
  EXPECT_TRUE(Client::Create({.keepalive_interval = absl::Hours(10000)}).ok());
}

}  // namespace
}  // namespace qkserve
