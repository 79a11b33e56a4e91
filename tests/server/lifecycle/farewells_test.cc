#include "server/lifecycle/farewells.h"

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

constexpr Farewells::Limits kLimits = {.sockets_max = 2, .discarded_bytes_max = 100'000};

// A connection. One of its sockets is in an epoll set, as gRPC's sockets are.
class Connection {
 public:
  explicit Connection(int epoll_set) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    socket_ = FileDescriptor(pair[0]);
    peer_ = FileDescriptor(pair[1]);
    epoll_event events = {.events = EPOLLIN | EPOLLET, .data = {}};
    EXPECT_EQ(epoll_ctl(epoll_set, EPOLL_CTL_ADD, socket(), &events), 0);
  }

  int socket() const { return socket_.get(); }
  int peer() const { return peer_.get(); }
  void Send(absl::string_view bytes) const { SendOn(socket(), bytes); }
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
  static bool SendOn(int socket, absl::string_view bytes) {
    return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == ssize_t(bytes.size());
  }

  FileDescriptor socket_{-1};
  FileDescriptor peer_{-1};
};

class FarewellsTest : public testing::Test {
 protected:
  Connection Connect() {
    Connection connection(epoll_set_.get());
    farewells_.Watch(connection.socket());
    return connection;
  }
  int64_t AwaitNone() {
    const Clock& clock = *Clock::Monotonic();
    return farewells_.AwaitNone(clock, clock.Now() + absl::Seconds(60));
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
  EXPECT_EQ(AwaitNone(), 0);
}

TEST_F(FarewellsTest, AKeptSocketHasLeftTheEpollSetOfItsOwner) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  EXPECT_TRUE(connection.PeerSends("window"));
  connection.PeerCloses();
  epoll_event event = {};
  EXPECT_EQ(epoll_wait(epoll_set_.get(), &event, 1, 0), 0);
}

TEST_F(FarewellsTest, APeerThatHasEverythingAndIsSilentIsNotAwaitedForLong) {
  // A peer that has not taken its reply has more time.
  Connection slow = Connect();
  slow.Send("reply");
  Connection silent = Connect();
  EXPECT_TRUE(slow.End(farewells_));
  EXPECT_TRUE(silent.End(farewells_));
  clock_.Advance(kLimits.silence_max);
  EXPECT_TRUE(Eventually([this] { return farewells_.count() == 1; }));
  EXPECT_TRUE(slow.PeerSends("window"));
  EXPECT_FALSE(silent.PeerSends("window"));
  clock_.Advance(kLimits.time_max);
  EXPECT_EQ(AwaitNone(), 0);
}

TEST_F(FarewellsTest, APeerThatDoesNotStopWritingIsCut) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  int64_t sent = 0;
  while (connection.PeerSends(std::string(1000, 'a'))) sent += 1000;
  EXPECT_GE(sent, kLimits.discarded_bytes_max);
  EXPECT_EQ(AwaitNone(), 0);
}

TEST_F(FarewellsTest, TheWaitEndsAtItsDeadline) {
  Connection connection = Connect();
  EXPECT_TRUE(connection.End(farewells_));
  EXPECT_EQ(farewells_.AwaitNone(clock_, clock_.Now()), 1);
}

TEST_F(FarewellsTest, ASocketWhosePeerHasClosedIsNotKept) {
  Connection connection = Connect();
  connection.PeerCloses();
  EXPECT_FALSE(connection.End(farewells_));
}

TEST_F(FarewellsTest, SocketsBeyondTheLimitAreNotKept) {
  Connection first = Connect();
  Connection second = Connect();
  Connection third = Connect();
  EXPECT_TRUE(first.End(farewells_));
  EXPECT_TRUE(second.End(farewells_));
  EXPECT_FALSE(third.End(farewells_));
  EXPECT_EQ(farewells_.count(), 2);
}

TEST_F(FarewellsTest, ASocketThatIsInNoEpollSetIsNotKept) {
  Connection connection = Connect();
  epoll_event ignored = {};
  epoll_ctl(epoll_set_.get(), EPOLL_CTL_DEL, connection.socket(), &ignored);
  EXPECT_FALSE(connection.End(farewells_));
}

TEST_F(FarewellsTest, OtherSocketsAreNotKept) {
  Connection other(epoll_set_.get());
  EXPECT_FALSE(farewells_.Keep(other.socket()));
  // A socket is not kept either if it has the number of a watched socket that was closed.
  Connection closed = Connect();
  ASSERT_EQ(dup2(other.socket(), closed.socket()), closed.socket());
  EXPECT_FALSE(farewells_.Keep(closed.socket()));
}

TEST_F(FarewellsTest, ASocketIsKeptOnce) {
  Connection connection = Connect();
  EXPECT_TRUE(farewells_.Keep(connection.socket()));
  EXPECT_FALSE(farewells_.Keep(connection.socket()));
  EXPECT_EQ(farewells_.count(), 1);
}

TEST(FarewellsShutdownTest, SharedLibrariesCallTheFunctionOfThisProgram) {
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "shutdown"), reinterpret_cast<void*>(&shutdown));
}

}  // namespace
}  // namespace qkserve
