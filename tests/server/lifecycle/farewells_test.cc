#include "server/lifecycle/farewells.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

constexpr Farewells::Limits kLimits = {
    .sockets_max = 4, .discarded_bytes_max = 100'000, .time_max = absl::Hours(1000)};

// A connection. One of its sockets is in an epoll set, as gRPC's sockets are.
class Connection {
 public:
  // `domain` is AF_UNIX or AF_INET.
  Connection(int epoll_set, int domain) {
    if (domain == AF_UNIX) {
      int pair[2];
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
      socket_ = FileDescriptor(pair[0]);
      peer_ = FileDescriptor(pair[1]);
    } else {
      ConnectOverTcp();
    }
    epoll_event events = {.events = EPOLLIN | EPOLLOUT, .data = {}};
    EXPECT_EQ(epoll_ctl(epoll_set, EPOLL_CTL_ADD, socket(), &events), 0);
  }

  int socket() const { return socket_.get(); }
  int peer() const { return peer_.get(); }
  void Send(absl::string_view bytes) const { SendOn(socket(), bytes); }
  // Sends more than the peer's system takes while the peer does not read.
  void SendUntilItBlocks() const {
    const std::string bytes(4096, 'a');
    while (send(socket(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
  }
  bool PeerSends(absl::string_view bytes) const { return SendOn(peer(), bytes); }
  // Ends the connection as gRPC does. Returns false if the socket was not kept.
  bool End(Farewells& farewells) {
    const bool is_kept = farewells.Keep(socket());
    if (!is_kept) shutdown(socket(), SHUT_RDWR);
    socket_.Close();
    return is_kept;
  }
  std::string PeerReadsToEnd() const {
    std::string all;
    char byte = 0;
    while (recv(peer(), &byte, 1, 0) == 1) all += byte;
    return all;
  }
  void PeerCloses() { peer_.Close(); }

 private:
  void ConnectOverTcp() {
    const auto make = [] {
      return FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    };
    const FileDescriptor listening = make();
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listening.get(), any, size), 0);
    EXPECT_EQ(listen(listening.get(), 1), 0);
    EXPECT_EQ(getsockname(listening.get(), any, &size), 0);
    peer_ = make();
    // The peer's buffer is smaller than the sender's.
    const int bytes = 4096;
    EXPECT_EQ(setsockopt(peer(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    EXPECT_EQ(connect(peer(), any, size), 0);
    socket_ = FileDescriptor(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  static bool SendOn(int socket, absl::string_view bytes) {
    return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == ssize_t(bytes.size());
  }

  FileDescriptor socket_{-1};
  FileDescriptor peer_{-1};
};

class FarewellsTest : public testing::Test {
 protected:
  Connection Connect(int domain = AF_UNIX) {
    Connection connection(epoll_set_.get(), domain);
    farewells_.Watch(connection.socket());
    return connection;
  }
  bool IsCountSoon(int64_t count) {
    return Eventually([&] { return farewells_.count() == count; });
  }
  // The number of sockets in the owner's epoll set, because each can be written to.
  int InEpollSet() const {
    epoll_event events[8] = {};
    return epoll_wait(epoll_set_.get(), events, 8, 0);
  }

  FakeClock clock_;
  FileDescriptor epoll_set_{epoll_create1(EPOLL_CLOEXEC)};
  Farewells farewells_{kLimits, &clock_};
};

TEST_F(FarewellsTest, APeerReadsEverythingAndMayWriteUntilItCloses) {
  Connection connection = Connect();
  connection.Send("reply");
  EXPECT_TRUE(connection.End(farewells_));
  EXPECT_TRUE(connection.PeerSends("window"));
  EXPECT_EQ(connection.PeerReadsToEnd(), "reply");
  EXPECT_TRUE(connection.PeerSends("window"));
  EXPECT_EQ(farewells_.count(), 1);
  connection.PeerCloses();
  EXPECT_TRUE(IsCountSoon(0));
}

TEST_F(FarewellsTest, AKeptSocketHasLeftTheEpollSetOfItsOwner) {
  Connection connection = Connect();
  EXPECT_EQ(InEpollSet(), 1);
  EXPECT_TRUE(connection.End(farewells_));
  EXPECT_EQ(InEpollSet(), 0);
}

TEST_F(FarewellsTest, AnEpollSetThatWasMadeLaterIsFoundAfterASecond) {
  const Connection first = Connect();
  epoll_set_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  Connection second = Connect();
  Connection third = Connect();
  EXPECT_FALSE(second.End(farewells_));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(third.End(farewells_));
  EXPECT_EQ(InEpollSet(), 0);
}

TEST_F(FarewellsTest, APeerThatHasEverythingAndIsSilentIsNotAwaitedForLong) {
  for (const int domain : {AF_UNIX, AF_INET}) {
    // A peer that has not taken its reply has more time.
    Connection slow = Connect(domain);
    slow.SendUntilItBlocks();
    Connection silent = Connect(domain);
    silent.Send("reply");
    EXPECT_TRUE(slow.End(farewells_));
    EXPECT_TRUE(silent.End(farewells_));
    EXPECT_EQ(silent.PeerReadsToEnd(), "reply");
    // The system may take some time to acknowledge the reply.
    EXPECT_TRUE(Eventually([&] {
      clock_.Advance(kLimits.silence_max);
      return farewells_.count() == 1;
    }));
    EXPECT_TRUE(slow.PeerSends("window"));
    // Over TCP, the answer to the first write says that the connection is cut.
    EXPECT_TRUE(Eventually([&] { return !silent.PeerSends("window"); }));
    clock_.Advance(kLimits.time_max);
    EXPECT_TRUE(IsCountSoon(0));
  }
}

TEST_F(FarewellsTest, SilenceIsShorterInADrain) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  clock_.Advance(kLimits.short_silence_max);
  farewells_.BeginDrain();
  EXPECT_TRUE(IsCountSoon(0));
}

TEST_F(FarewellsTest, SilenceIsShorterIfMoreThanHalfOfThePlacesAreTaken) {
  Connection first = Connect();
  Connection second = Connect();
  Connection third = Connect();
  EXPECT_TRUE(first.End(farewells_));
  EXPECT_TRUE(second.End(farewells_));
  clock_.Advance(kLimits.short_silence_max);
  EXPECT_TRUE(third.End(farewells_));
  EXPECT_TRUE(IsCountSoon(1));
}

TEST_F(FarewellsTest, ALimitCutsAConnectionEvenIfItsOwnerHoldsTheSocket) {
  const Connection connection = Connect();
  EXPECT_TRUE(farewells_.Keep(connection.socket()));
  clock_.Advance(kLimits.silence_max);
  EXPECT_TRUE(IsCountSoon(0));
  EXPECT_FALSE(connection.PeerSends("window"));
}

TEST_F(FarewellsTest, APeerThatDoesNotStopWritingIsCut) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  int64_t sent = 0;
  while (connection.PeerSends(std::string(1000, 'a'))) sent += 1000;
  EXPECT_GE(sent, kLimits.discarded_bytes_max);
  EXPECT_TRUE(IsCountSoon(0));
}

TEST_F(FarewellsTest, ADrainEndsWhenNoSocketIsKeptOrItsTimeIsOver) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  farewells_.BeginDrain();
  EXPECT_EQ(farewells_.EndDrain(absl::ZeroDuration()), 1);
  farewells_.BeginDrain();
  connection.PeerCloses();
  EXPECT_EQ(farewells_.EndDrain(absl::Seconds(60)), 0);
}

TEST_F(FarewellsTest, ASocketWhosePeerHasClosedIsNotKept) {
  Connection connection = Connect();
  connection.PeerCloses();
  EXPECT_FALSE(connection.End(farewells_));
}

TEST_F(FarewellsTest, SocketsBeyondTheLimitAreKeptOnlyInADrain) {
  std::vector<Connection> connections;
  for (int64_t i = 0; i < kLimits.sockets_max; ++i) {
    connections.push_back(Connect());
    EXPECT_TRUE(connections.back().End(farewells_));
  }
  EXPECT_FALSE(Connect().End(farewells_));
  farewells_.BeginDrain();
  connections.push_back(Connect());
  EXPECT_TRUE(connections.back().End(farewells_));
  EXPECT_EQ(farewells_.EndDrain(absl::ZeroDuration()), kLimits.sockets_max + 1);
  EXPECT_FALSE(Connect().End(farewells_));
}

TEST_F(FarewellsTest, ASocketThatIsInNoEpollSetIsNotKept) {
  Connection connection = Connect();
  epoll_event ignored = {};
  epoll_ctl(epoll_set_.get(), EPOLL_CTL_DEL, connection.socket(), &ignored);
  EXPECT_FALSE(connection.End(farewells_));
}

TEST_F(FarewellsTest, OtherSocketsAreNotKept) {
  const Connection other(epoll_set_.get(), AF_UNIX);
  EXPECT_FALSE(farewells_.Keep(other.socket()));
  // A socket is not kept either if it has the number of a watched socket that was closed.
  const Connection closed = Connect();
  ASSERT_EQ(dup2(other.socket(), closed.socket()), closed.socket());
  EXPECT_FALSE(farewells_.Keep(closed.socket()));
}

TEST_F(FarewellsTest, ASocketIsKeptOnce) {
  const Connection connection = Connect();
  EXPECT_TRUE(farewells_.Keep(connection.socket()));
  EXPECT_FALSE(farewells_.Keep(connection.socket()));
  EXPECT_EQ(farewells_.count(), 1);
}

TEST(FarewellsShutdownTest, SharedLibrariesCallTheFunctionOfThisProgram) {
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "shutdown"), reinterpret_cast<void*>(&shutdown));
}

}  // namespace
}  // namespace qkserve
