// Connections to the HTTP port. The peers are silent or slow, or send requests that are too long or
// wrong.

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/http_server.h"
#include "server/lifecycle/listen_address.h"
#include "server/observe/metrics_exporter.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http_peer.h"

namespace qkserve {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// --- Many connections ---------------------------------------------------------------------------

class HttpConnectionsTest : public testing::Test {
 protected:
  void Start(const Clock* clock) {
    server_ =
        HttpServer::Start(
            BoundSockets::Bind(kHttpAddressFlag, "127.0.0.1:0").value(), "127.0.0.1:0", &exporter_,
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
  // A connection that has already sent `text`.
  std::unique_ptr<HttpPeer> Peer(const std::string& text) const {
    auto peer = std::make_unique<HttpPeer>(server_->address());
    peer->Say(text);
    return peer;
  }
  std::string Ask(const std::string& request) const { return Peer(request)->ReadToEnd(); }
  // Expects an answer. When it arrives, the server has accepted all earlier connections.
  void ExpectAlive() const {
    EXPECT_THAT(Ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }

  FakeClock clock_;
  MetricsExporter exporter_{ComputeSetup{}};
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

// The clock stands still, so no peer is ever too late.
TEST_F(HttpConnectionsTest, SilentAndSlowPeersKeepNobodyOut) {
  Start(&clock_);
  std::vector<std::unique_ptr<HttpPeer>> peers;
  for (int i = 0; i < 2 * HttpServer::kConnectionsMax; ++i) {
    for (const char* begin : {"", "GET /healthz HT"}) {
      peers.push_back(Peer(begin));
    }
    if (i % 16 == 0) ExpectAlive();
  }
  ExpectAlive();
  // The oldest connection was closed to make room.
  EXPECT_EQ(peers.front()->ReadToEnd(), "");
  // A new connection is still answered.
  peers.back()->Say("TP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(peers.back()->ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpConnectionsTest, AConnectionsTimeBeginsWhenItIsAccepted) {
  Start(&clock_);
  const std::unique_ptr<HttpPeer> slow = Peer("GET /healthz");
  ExpectAlive();
  clock_.Advance(HttpServer::kRequestTimeout - absl::Milliseconds(1));
  slow->Say(" HTTP");
  const std::unique_ptr<HttpPeer> late = Peer("GET /healthz");
  ExpectAlive();
  clock_.Advance(absl::Milliseconds(1));
  slow->Say("/");
  EXPECT_EQ(slow->ReadToEnd(), "");
  late->Say(" HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(late->ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpConnectionsTest, SilentPeersDoNotHoldItsEnd) {
  Start(&clock_);
  const std::unique_ptr<HttpPeer> silent = Peer("");
  ExpectAlive();
  server_ = nullptr;
  EXPECT_EQ(silent->ReadToEnd(), "");
}

TEST_F(HttpConnectionsTest, AcceptsAgainOnceThereAreFiles) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's checks of pointers need files of their own";
#endif
  Start(Clock::Monotonic());
  HttpPeer peer;
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int first_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(first_free);
  const rlimit none_left = {static_cast<rlim_t>(first_free), limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  ASSERT_TRUE(peer.Connect(server_->address()));
  const std::string event = AwaitEvent();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(event, StartsWith("http_address: cannot accept connections: Too many open files"));
  peer.Say("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(peer.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// --- Requests -----------------------------------------------------------------------------------

// The clock stands still, so an answer or the end of the connection must come at once.
TEST_F(HttpConnectionsTest, WrongRequestsAreRefusedAtOnce) {
  Start(&clock_);
  const std::string many_a(20'000, 'a');
  const struct {
    std::string request, status;
  } cases[] = {
      {"nonsense\r\n\r\n", ""},
      {" / HTTP/1.1\r\n\r\n", ""},
      {"GET /healthz HTTP/9\r\n\r\n", "400"},
      {"GET /healthz\r\n\r\n", "400"},
      {"GET http://host\r\n\r\n", "400"},
      {many_a, ""},
      {absl::StrCat("GET /", many_a, " HTTP/1.1\r\n\r\n"), "414"},
      {absl::StrCat("GET / HTTP/1.1\r\nA: ", many_a, "\r\n\r\n"), "431"},
  };
  for (const auto& [request, status] : cases) {
    const std::string answer = Ask(request);
    // The library closes some of these connections and answers others, depending on its version.
    if (!status.empty() || !answer.empty()) {
      EXPECT_THAT(answer, StartsWith(absl::StrCat("HTTP/1.1 ", status.empty() ? "4" : status)))
          << request.substr(0, 40);
    }
  }
}

TEST_F(HttpConnectionsTest, OtherMethodsAndPathsAreToldWhatThereIs) {
  Start(&clock_);
  const std::string many_a(20'000, 'a');
  const std::string not_here = "not here; see /, /history.json, /metrics, /healthz, /readyz\n";
  const std::string only = "only GET and HEAD\n";
  const struct {
    std::string request, status, body;
  } cases[] = {
      {absl::StrCat("GET /nosuch HTTP/1.1\r\nHost: a\r\nA: ", many_a.substr(0, 9000), "\r\n\r\n"),
       "404", not_here},
      {absl::StrCat("GET /", many_a.substr(0, 9000), " HTTP/1.1\r\nHost: a\r\n\r\n"), "404",
       not_here},
      {"GET ftp://host/metrics HTTP/1.1\r\nHost: a\r\n\r\n", "404", not_here},
      {"FOO /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "405", only},
      {"get /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "405", only},
      {"CONNECT host:443 HTTP/1.1\r\nHost: a\r\n\r\n", "405", only},
      {absl::StrCat("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n", many_a),
       "405", only},
      // The client has not sent its body yet.
      {"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
       "405", only},
  };
  for (const auto& [request, status, body] : cases) {
    const std::string answer = Ask(request);
    EXPECT_THAT(answer, StartsWith(absl::StrCat("HTTP/1.1 ", status, " ")));
    EXPECT_THAT(answer, HasSubstr(absl::StrCat("\r\nContent-Length: ", body.size(), "\r\n")));
    EXPECT_THAT(answer, EndsWith(absl::StrCat("\r\n\r\n", body)));
    EXPECT_EQ(absl::StrContains(answer, "\r\nAllow: GET, HEAD\r\n"), status == "405");
  }
}

TEST_F(HttpConnectionsTest, LinesMayEndWithoutACarriageReturn) {
  Start(&clock_);
  for (const char* request :
       {"GET /healthz HTTP/1.0\n\n", "GET /healthz HTTP/1.1\nHost: a\n\n",
        "GET /healthz HTTP/1.1\r\nHost: a\n\r\n", "GET /healthz HTTP/1.1\nHost: a\r\n\n"}) {
    EXPECT_THAT(Ask(request), StartsWith("HTTP/1.1 200 OK\r\n")) << request;
  }
}

TEST_F(HttpConnectionsTest, ARequestMayComeInSmallParts) {
  Start(&clock_);
  const std::unique_ptr<HttpPeer> peer = Peer("");
  for (const char c : absl::string_view("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")) {
    peer->Say(std::string(1, c));
    ExpectAlive();
  }
  EXPECT_THAT(peer->ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// Proxies send such targets.
TEST_F(HttpConnectionsTest, ATargetMayNameTheHost) {
  Start(&clock_);
  for (const char* target : {"http://host/healthz", "http://127.0.0.1:8080/healthz",
                             "HTTPS://user@[::1]:1/healthz", "http://host/healthz?x=http://y/"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: a\r\n\r\n")),
                EndsWith("\r\n\r\nok\n"))
        << target;
  }
  for (const char* target : {"http://host", "http://host/", "http://host?x", "http://"}) {
    EXPECT_THAT(Ask(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: a\r\n\r\n")),
                HasSubstr("<title>qkserve</title>"))
        << target;
  }
  EXPECT_THAT(Ask("POST http://host/metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
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
        Ask(absl::StrCat("GET /healthz HTTP/1.1\r\nHost: a\r\nRange: ", range, "\r\n\r\n"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << range;
    EXPECT_THAT(answer, EndsWith("\r\n\r\nok\n")) << range;
    EXPECT_FALSE(absl::StrContains(answer, "Content-Range")) << range;
  }
}

TEST_F(HttpConnectionsTest, HeadHasTheLengthAndNoBody) {
  Start(&clock_);
  const std::string answer = Ask("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 3\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nAccept-Ranges: none\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpConnectionsTest, AConnectionIsForOneRequest) {
  Start(&clock_);
  const std::string answer =
      Ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(answer.find("200 OK"), answer.rfind("200 OK")) << answer;
  EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
}

}  // namespace
}  // namespace qkserve
