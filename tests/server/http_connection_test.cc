// Connections to the HTTP port: whoever is silent, slow, long or wrong.

#include "server/http_connection.h"

#include <fcntl.h>
#include <httplib.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http_server.h"
#include "server/monitor.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string ReadToEnd(int socket) {
  std::string text;
  char bytes[4096];
  for (ssize_t n; (n = recv(socket, bytes, sizeof(bytes), 0)) > 0;) {
    text.append(bytes, static_cast<size_t>(n));
  }
  return text;
}

// --- One connection, step by step ---------------------------------------------------------------

class HttpConnectionTest : public testing::Test {
 protected:
  HttpConnectionTest() {
    int sockets[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    peer_ = sockets[0];
    fcntl(sockets[1], F_SETFL, O_NONBLOCK);
    connection_ = std::make_unique<HttpConnection>(sockets[1], absl::InfiniteFuture());
  }
  ~HttpConnectionTest() override { close(peer_); }

  void Say(absl::string_view text) const {
    ASSERT_EQ(send(peer_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  bool Advance() {
    return connection_->Advance([this](absl::string_view head) {
      heads_.emplace_back(head);
      return answer_;
    });
  }

  int peer_ = -1;
  std::unique_ptr<HttpConnection> connection_;
  std::string answer_ = "answer";
  std::vector<std::string> heads_;
};

TEST_F(HttpConnectionTest, AnswersOnceTheHeadIsWholeHoweverItComes) {
  const std::string head = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  for (const char c : head) {
    EXPECT_TRUE(heads_.empty());
    EXPECT_TRUE(Advance());  // nothing is there
    Say(std::string(1, c));
    EXPECT_TRUE(Advance());
  }
  EXPECT_THAT(heads_, testing::ElementsAre(head));
  EXPECT_EQ(ReadToEnd(peer_), "answer");
}

TEST_F(HttpConnectionTest, WhatComesAfterTheHeadIsThrownAwayUntilThePeerCloses) {
  Say("GET / HTTP/1.1\r\n\r\nbody");
  EXPECT_TRUE(Advance());
  EXPECT_EQ(ReadToEnd(peer_), "answer");
  Say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(Advance());
  EXPECT_EQ(connection_->events(), POLLIN);
  shutdown(peer_, SHUT_WR);
  EXPECT_FALSE(Advance());
  EXPECT_EQ(heads_.size(), 1);
}

TEST_F(HttpConnectionTest, ALongHeadIsCut) {
  Say(std::string(HttpConnection::kHeadBytesMax - 1, 'a'));
  EXPECT_TRUE(Advance());
  EXPECT_TRUE(heads_.empty());
  Say("aaaa");
  EXPECT_TRUE(Advance());
  EXPECT_THAT(heads_, testing::ElementsAre(std::string(HttpConnection::kHeadBytesMax, 'a')));
  EXPECT_EQ(ReadToEnd(peer_), "answer");
}

TEST_F(HttpConnectionTest, APeerThatDoesNotReadIsNotWaitedFor) {
  answer_ = std::string(10'000'000, 'x');
  Say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(Advance());
  EXPECT_EQ(connection_->events(), POLLOUT);
  EXPECT_TRUE(Advance());  // there is no room
  std::string got;
  std::string bytes(1'000'000, ' ');
  while (got.size() < answer_.size()) {
    const ssize_t count = recv(peer_, bytes.data(), bytes.size(), 0);
    ASSERT_GT(count, 0);
    got.append(bytes, 0, static_cast<size_t>(count));
    EXPECT_TRUE(Advance());
  }
  EXPECT_EQ(got, answer_);
  EXPECT_EQ(ReadToEnd(peer_), "");
}

TEST_F(HttpConnectionTest, APeerThatClosesBeforeTheEndGetsNothing) {
  Say("GET / HTTP/1.1\r\n");
  shutdown(peer_, SHUT_WR);
  EXPECT_TRUE(Advance());
  EXPECT_FALSE(Advance());
  EXPECT_TRUE(heads_.empty());
}

// --- Many connections ---------------------------------------------------------------------------

// A connection to the server.
class Peer {
 public:
  Peer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  Peer(const HttpServer& server, const std::string& text) : Peer() {
    Connect(server);
    Say(text);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { close(socket_); }

  void Connect(const HttpServer& server) const {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(server.port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  void Say(const std::string& text) const {
    EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string ReadToEnd() const { return qkserve::ReadToEnd(socket_); }

 private:
  const int socket_;
};

class HttpConnectionsTest : public testing::Test {
 protected:
  void Start(const Clock* clock) {
    server_ = HttpServer::Start(
                  "127.0.0.1:0", &monitor_,
                  [this](const LogEvent& event) {
                    MutexLock lock(&mutex_);
                    events_.push_back(event.message);
                    changed_.NotifyAll();
                  },
                  clock)
                  .value();
  }
  std::string AwaitEvent() {
    MutexLock lock(&mutex_);
    while (events_.empty()) changed_.Wait(&mutex_);
    return events_.front();
  }
  std::string Ask(const std::string& request) const { return Peer(*server_, request).ReadToEnd(); }
  // By a server that has accepted whoever connected before.
  void ExpectAlive() const {
    EXPECT_THAT(Ask("GET /healthz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }

  FakeClock clock_;
  Monitor monitor_{Monitor::Machine{}};
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

// For this clock, no time passes: whoever is waited for is waited for for ever.
TEST_F(HttpConnectionsTest, SilentAndSlowPeersKeepNobodyOut) {
  Start(&clock_);
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 2 * HttpServer::kConnectionsMax; ++i) {
    for (const char* begin : {"", "GET /healthz HT"}) {
      peers.push_back(std::make_unique<Peer>(*server_, begin));
    }
    if (i % 16 == 0) ExpectAlive();
  }
  ExpectAlive();
  // For the others.
  EXPECT_EQ(peers.front()->ReadToEnd(), "");
  // A new one is still heard.
  peers.back()->Say("TP/1.1\r\n\r\n");
  EXPECT_THAT(peers.back()->ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpConnectionsTest, AConnectionsTimeBeginsWhenItIsAccepted) {
  Start(&clock_);
  const Peer slow(*server_, "GET /healthz");
  ExpectAlive();
  clock_.Advance(HttpServer::kRequestTimeout - absl::Milliseconds(1));
  slow.Say(" HTTP");
  const Peer late(*server_, "GET /healthz");
  ExpectAlive();
  clock_.Advance(absl::Milliseconds(1));
  slow.Say("/");
  EXPECT_EQ(slow.ReadToEnd(), "");
  late.Say(" HTTP/1.1\r\n\r\n");
  EXPECT_THAT(late.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpConnectionsTest, SilentPeersDoNotHoldItsEnd) {
  Start(&clock_);
  const Peer silent(*server_, "");
  ExpectAlive();
  server_ = nullptr;
  EXPECT_EQ(silent.ReadToEnd(), "");
}

TEST_F(HttpConnectionsTest, AcceptsAgainOnceThereAreFiles) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's checks of pointers need files of their own";
#endif
  Start(Clock::Monotonic());
  const Peer peer;
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int first_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(first_free);
  const rlimit none_left = {static_cast<rlim_t>(first_free), limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  peer.Connect(*server_);
  const std::string event = AwaitEvent();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(event, StartsWith("http_address: cannot accept connections: Too many open files"));
  peer.Say("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(peer.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// --- Requests -----------------------------------------------------------------------------------

TEST_F(HttpConnectionsTest, WrongRequestsAreToldWhy) {
  Start(&clock_);
  const std::string many_a(20'000, 'a');
  const struct {
    std::string request, status, body;
  } cases[] = {
      {"\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"nonsense\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"GET /healthz HTTP/9\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {absl::StrCat("GET /", many_a.substr(0, 9000), " HTTP/1.1\r\n\r\n"), "414",
       "the request line is too long\n"},
      {many_a, "414", "the request line is too long\n"},
      {absl::StrCat("GET / HTTP/1.1\r\nA: ", many_a, "\r\n\r\n"), "431",
       "the request's header is too long\n"},
      {absl::StrCat("GET /nosuch HTTP/1.1\r\nA: ", many_a.substr(0, 9000), "\r\n\r\n"), "404",
       "not here; see /, /metrics, /healthz, /readyz\n"},
      {absl::StrCat("POST /metrics HTTP/1.1\r\n\r\n", many_a), "405", "only GET and HEAD\n"},
      {"FOO /metrics HTTP/1.1\r\n\r\n", "405", "only GET and HEAD\n"},
      {"get /metrics HTTP/1.1\r\n\r\n", "405", "only GET and HEAD\n"},
      {"CONNECT host:443 HTTP/1.1\r\n\r\n", "405", "only GET and HEAD\n"},
      {" / HTTP/1.1\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"F\x01 / HTTP/1.1\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"FOO / HTTP/9\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"GET http://host\r\n\r\n", "400", "expected METHOD PATH HTTP/1.1\n"},
      {"GET ftp://host/metrics HTTP/1.1\r\n\r\n", "404",
       "not here; see /, /metrics, /healthz, /readyz\n"},
  };
  for (const auto& [request, status, body] : cases) {
    const std::string answer = Ask(request);
    EXPECT_THAT(answer, StartsWith(absl::StrCat("HTTP/1.1 ", status, " ")));
    EXPECT_THAT(answer, HasSubstr(absl::StrCat("\r\nContent-Length: ", body.size(), "\r\n")));
    EXPECT_THAT(answer, EndsWith(absl::StrCat("\r\n\r\n", body)));
  }
}

// As proxies send them.
TEST_F(HttpConnectionsTest, ATargetMayNameTheHost) {
  Start(&clock_);
  for (const char* target : {"http://host/healthz", "http://127.0.0.1:8080/healthz",
                             "HTTPS://user@[::1]:1/healthz", "http://host/healthz?x=http://y/"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\n\r\n")), EndsWith("\r\n\r\nok\n"))
        << target;
  }
  for (const char* target : {"http://host", "http://host/", "http://host?x", "http://"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\n\r\n")),
                HasSubstr("<title>qkserve</title>"))
        << target;
  }
  EXPECT_THAT(Ask("POST http://host/metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(HttpConnectionsTest, ARangeIsIgnored) {
  Start(&clock_);
  std::string many = "bytes=0-0";
  for (int i = 0; i < 3000; ++i) many += ",0-0";
  for (const std::string& range :
       {std::string("bytes=0-1"), std::string("bytes=-1"), std::string("bytes=1-"),
        std::string("bytes=0-0,2-2"), std::string("bytes=0-0,5-2"), std::string("bytes=99-"),
        std::string("bytes=9-1"), std::string("x"), many}) {
    const std::string answer =
        Ask(absl::StrCat("GET /healthz HTTP/1.1\r\nRange: ", range, "\r\n\r\n"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << range;
    EXPECT_THAT(answer, EndsWith("\r\n\r\nok\n")) << range;
    EXPECT_FALSE(absl::StrContains(answer, "Content-Range")) << range;
  }
}

TEST_F(HttpConnectionsTest, HeadHasTheLengthAndNoBody) {
  Start(&clock_);
  const std::string answer = Ask("HEAD /healthz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 3\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nAccept-Ranges: none\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpConnectionsTest, AConnectionIsForOneRequest) {
  Start(&clock_);
  const std::string answer = Ask("GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(answer.find("200 OK"), answer.rfind("200 OK")) << answer;
  EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
}

}  // namespace
}  // namespace qkserve
