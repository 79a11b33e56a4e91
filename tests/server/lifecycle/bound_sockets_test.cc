#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file_descriptor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/lifecycle/listen_address.h"
#include "tests/server/key_set_server_test.h"
#include "tests/support/http_peer.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

// Every address of 127.0.0.0/8 belongs to this machine.
SocketAddress Loopback(uint32_t last_byte, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(0x7f000000U + last_byte);
  SocketAddress packed;
  std::memcpy(&packed.storage, &address, sizeof(address));
  packed.size = sizeof(address);
  return packed;
}

SocketAddress AddressOfAnotherMachine() {
  SocketAddress address = Loopback(1, 0);
  reinterpret_cast<sockaddr_in&>(address.storage).sin_addr.s_addr = htonl(0xc0000201U);
  return address;
}

constexpr AddressFlag kFlag = {"flag", "others"};

BoundSockets Bind(const std::string& address) { return BoundSockets::Bind(kFlag, address).value(); }

bool HasIpv6() { return BoundSockets::Bind(kFlag, "[::1]:0").ok(); }

std::vector<std::string> Texts(const BoundSockets& sockets) {
  std::vector<std::string> texts;
  for (const SocketAddress& address : sockets.addresses()) texts.push_back(address.Text());
  return texts;
}

// --- Several addresses --------------------------------------------------------------------------

TEST(BoundSocketsTest, AllAddressesOfANameAreBoundToOnePort) {
  const absl::StatusOr<BoundSockets> sockets =
      BoundSockets::Bind({Loopback(1, 0), Loopback(2, 0), Loopback(3, 0)});
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  const int port = sockets->port();
  EXPECT_GT(port, 0);
  EXPECT_THAT(Texts(*sockets),
              ElementsAre(absl::StrCat("127.0.0.1:", port), absl::StrCat("127.0.0.2:", port),
                          absl::StrCat("127.0.0.3:", port)));
  ASSERT_TRUE(sockets->Listen().ok());
  for (const std::string& text : Texts(*sockets)) {
    HttpPeer peer;
    EXPECT_TRUE(peer.Connect(text)) << text;
  }
}

TEST(BoundSocketsTest, WhereOneAddressIsTakenNoneIsBound) {
  const absl::StatusOr<BoundSockets> taken = BoundSockets::Bind({Loopback(2, 0)});
  ASSERT_TRUE(taken.ok() && taken->Listen().ok());
  const int port = taken->port();
  const absl::Status status = BoundSockets::Bind({Loopback(1, port), Loopback(2, port)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), absl::StrCat("127.0.0.2:", port, ": Address already in use"));
  const absl::StatusOr<BoundSockets> first = BoundSockets::Bind({Loopback(1, port)});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->Listen().ok());
}

TEST(BoundSocketsTest, AnAddressOfAnotherMachineIsNamed) {
  EXPECT_EQ(BoundSockets::Bind(kFlag, "192.0.2.1:80").status(),
            absl::UnavailableError("flag: cannot listen on 192.0.2.1:80: Cannot assign requested "
                                   "address; give another one, or others"));
}

TEST(BoundSocketsTest, ANameWithoutAddressIsNamed) {
  const absl::Status status = BoundSockets::Bind(kFlag, "nosuch.invalid:80").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              StartsWith("flag: cannot listen on nosuch.invalid:80: "));
}

TEST(BoundSocketsTest, WhileTheyAreThereAnotherOneListensOnlyWhereTheyDoNot) {
  const BoundSockets first = Bind("127.0.0.1:0");
  const BoundSockets second = Bind(absl::StrCat("127.0.0.1:", first.port()));
  EXPECT_TRUE(second.Listen().ok());
  EXPECT_EQ(first.Listen(), absl::UnavailableError(absl::StrCat("127.0.0.1:", first.port(),
                                                                ": Address already in use")));
}

TEST(BoundSocketsTest, EachAddressThatWasBoundMustBeLoopback) {
  for (const char* const address : {"127.0.0.1:0", "localhost:0"}) {
    EXPECT_TRUE(CheckAreLoopback(kFlag, address, Bind(address).addresses()).ok()) << address;
  }
  EXPECT_THAT(
      std::string(CheckAreLoopback(kFlag, "a:0", Bind("0.0.0.0:0").addresses()).message()),
      StartsWith("flag: other machines may reach a:0, and nothing is encrypted; give --tls_cert"));
  EXPECT_TRUE(absl::IsInvalidArgument(
      CheckAreLoopback(kFlag, "a:0", {Loopback(1, 0), AddressOfAnotherMachine()})));
}

// --- A path -------------------------------------------------------------------------------------

TEST(BoundSocketsTest, APathWhoseServerIsStoppedIsInUseEvenIfItsQueueIsFull) {
  const TemporaryDirectory directory("bound_sockets_test");
  const std::string path = directory.Path("socket");
  const BoundSockets stopped = BoundSockets::BindPath(path).value();
  ASSERT_EQ(listen(stopped.sockets().front().get(), 0), 0);
  const SocketAddress& address = stopped.addresses().front();
  std::vector<FileDescriptor> queue;
  do {
    queue.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  } while (connect(queue.back().get(), address.get(), address.size) == 0);
  ASSERT_EQ(errno, EAGAIN);
  EXPECT_EQ(BoundSockets::BindPath(path).status(),
            absl::UnavailableError("Address already in use"));
}

// --- Both protocols -----------------------------------------------------------------------------

// Checks whether gRPC and HTTP answer at `from` if each listens on this address and port 0.
class ListenAddressTest : public KeySetServerTest {
 protected:
  void Start(const std::string& address) {
    options_.listen_address = address;
    options_.http_address = address;
    options_.allow_plaintext = true;
    server_ = nullptr;
    server_ = Server::Start(options_).value();
  }
  void ExpectBothAnswerAt(const std::string& from) const {
    const std::string grpc = absl::StrCat(from, ":", server_->port());
    EXPECT_TRUE(ConnectedClient(grpc)->GetStatus().ok()) << grpc;
    const std::string& http = server_->http_address();
    const std::string port = http.substr(http.rfind(':'));
    EXPECT_EQ(AskHttp(absl::StrCat(from, port), "GET", "/healthz").status, 200) << http;
  }
};

TEST_F(ListenAddressTest, EveryAddressIsIpv4AndIpv6ForBoth) {
  for (const char* address : {"0.0.0.0:0", "[::]:0"}) {
    Start(address);
    ExpectBothAnswerAt("127.0.0.1");
    ExpectBothAnswerAt("127.0.0.2");
    if (HasIpv6()) ExpectBothAnswerAt("[::1]");
    EXPECT_EQ(server_->address(), WithPort(address, server_->port()));
    EXPECT_THAT(server_->http_address(), StartsWith(std::string(address, strlen(address) - 1)));
  }
}

TEST_F(ListenAddressTest, EachAddressOfANameIsListenedOnByBoth) {
  Start("localhost:0");
  const absl::StatusOr<std::vector<SocketAddress>> addresses = ResolveHost({"localhost", 1});
  ASSERT_TRUE(addresses.ok() && !addresses->empty()) << addresses.status();
  for (const SocketAddress& address : *addresses) {
    const std::string text = address.Text();
    ExpectBothAnswerAt(text.substr(0, text.rfind(':')));
  }
  EXPECT_THAT(server_->address(), StartsWith("localhost:"));
}

TEST_F(ListenAddressTest, OneOfIpv6IsNotIpv4) {
  if (!HasIpv6()) GTEST_SKIP() << "this machine has no IPv6";
  Start("[::1]:0");
  ExpectBothAnswerAt("[::1]");
  HttpPeer peer;
  EXPECT_FALSE(peer.Connect(absl::StrCat("127.0.0.1:", server_->port())));
}

TEST_F(ListenAddressTest, ATakenAddressOfSeveralIsNamed) {
  Start("127.0.0.1:0");
  ServerOptions second = options_;
  second.http_address = "";
  second.listen_address = absl::StrCat("0.0.0.0:", server_->port());
  EXPECT_THAT(std::string(Server::Start(second).status().message()),
              testing::MatchesRegex("listen_address: cannot listen on 0.0.0.0:[0-9]+: .*:[0-9]+ is "
                                    "in use by another process; give another one, or unix:PATH"));
}

TEST_F(ListenAddressTest, BothRefuseATakenAddressInTheSameWords) {
  Start("127.0.0.1:0");
  ServerOptions second = options_;
  second.http_address = "";
  second.listen_address = server_->address();
  EXPECT_EQ(Server::Start(second).status(),
            absl::UnavailableError(
                absl::StrCat("listen_address: ", server_->address(),
                             " is in use by another process; give another one, or unix:PATH")));
  second.listen_address = "127.0.0.1:0";
  second.http_address = server_->http_address();
  EXPECT_EQ(Server::Start(second).status(),
            absl::UnavailableError(absl::StrCat(
                "http_address: ", server_->http_address(),
                " is in use by another process; give another one, or nothing for no HTTP")));
}

}  // namespace
}  // namespace qkserve
