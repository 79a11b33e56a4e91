// A server over TLS: both ports, clients of every kind, and files that change while it runs.

#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "server/lifecycle/health_check.h"
#include "server/server.h"
#include "tests/support/http_peer.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_authority.h"
#include "tests/support/tls_peer.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

constexpr char kNames[] = "DNS:qkserve.test,IP:127.0.0.1";
constexpr char kGetHealth[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() {
    options_.listen_address = "127.0.0.1:0";
    options_.http_address = "127.0.0.1:0";
    options_.workers = 1;
    options_.drain_grace = absl::ZeroDuration();
    options_.file_check_interval = absl::Milliseconds(5);
    options_.log = [this](const LogEvent& event) {
      MutexLock lock(&mutex_);
      log_.push_back(event.message);
    };
    Place(identity_.certificate, identity_.key);
    options_.tls_cert_file = Path("current/cert.pem");
    options_.tls_key_file = Path("current/key.pem");
  }
  ~TlsServerTest() override { server_ = nullptr; }  // the server must end before the log's sink

  std::string Path(const std::string& name) const { return directory_.Path(name); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::trunc) << text;
    return Path(name);
  }
  // Puts both files in place in one step, by replacing a link.
  void Place(const std::string& certificate, const std::optional<std::string>& key) {
    const std::string folder = absl::StrCat("pair", ++pairs_);
    std::filesystem::create_directory(Path(folder));
    Write(folder + "/cert.pem", certificate);
    if (key.has_value()) Write(folder + "/key.pem", *key);
    std::filesystem::create_directory_symlink(folder, Path("new"));
    std::filesystem::rename(Path("new"), Path("current"));
  }
  void Start() { server_ = Server::Start(options_).value(); }
  void StartForKnownClients() {
    options_.tls_client_ca_file = Write("client_ca.pem", clients_.certificate());
    Start();
  }

  TlsOptions Trusting() const { return {.ca_file = Write("ca.pem", authority_.certificate())}; }
  TlsOptions TrustingAs(const Identity& client) const {
    TlsOptions tls = Trusting();
    tls.cert_file = Write("client.pem", client.certificate);
    tls.key_file = Write("client_key.pem", client.key);
    return tls;
  }
  std::unique_ptr<Client> Connect(std::optional<TlsOptions> tls) const {
    return Client::Create({.address = server_->address(), .tls = std::move(tls)}).value();
  }

  bool BothPortsShow(const Identity& identity) const {
    return ShakeHands(server_->http_address()).certificate == identity.certificate &&
           ShakeHands(server_->address()).certificate == identity.certificate;
  }
  std::string Metrics() const {
    return ShakeHands(server_->http_address(), 0, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .answer;
  }
  bool WasLogged(const std::string& text) {
    MutexLock lock(&mutex_);
    return std::any_of(log_.begin(), log_.end(),
                       [&](const std::string& line) { return absl::StrContains(line, text); });
  }

  const TemporaryDirectory directory_{"tls_server_test"};
  const TestAuthority authority_;
  const TestAuthority clients_;
  const Identity identity_ = authority_.Issue(kNames);
  int pairs_ = 0;
  ServerOptions options_;
  Mutex mutex_;
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Server> server_;
};

TEST_F(TlsServerTest, BothPortsSpeakTls12And13AndNothingOlder) {
  Start();
  for (const std::string& address : {server_->address(), server_->http_address()}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const TlsHandshake handshake = ShakeHands(address, version);
      EXPECT_TRUE(handshake.is_done) << address << " " << version;
      EXPECT_EQ(handshake.certificate, identity_.certificate);
    }
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
      EXPECT_FALSE(ShakeHands(address, version).is_done) << address << " " << version;
    }
  }
  EXPECT_TRUE(Connect(Trusting())->GetStatus().ok());
  EXPECT_THAT(ShakeHands(server_->http_address(), 0, kGetHealth).answer, HasSubstr("200 OK"));
}

TEST_F(TlsServerTest, PlainTextIsNotAnswered) {
  Start();
  EXPECT_EQ(AskHttp(server_->http_address(), "GET", "/healthz").status, 0);
  EXPECT_TRUE(absl::IsUnavailable(Connect(std::nullopt)->GetStatus().status()));
}

TEST_F(TlsServerTest, OnlyClientsOfTheAuthorityReachGrpc) {
  StartForKnownClients();
  const absl::Status known =
      Connect(TrustingAs(clients_.Issue("DNS:client")))->GetStatus().status();
  EXPECT_TRUE(known.ok()) << known;
  EXPECT_TRUE(absl::IsUnavailable(Connect(Trusting())->GetStatus().status()));
  // This authority has the same name, but another key.
  const Identity stranger = TestAuthority().Issue("DNS:client");
  EXPECT_TRUE(absl::IsUnavailable(Connect(TrustingAs(stranger))->GetStatus().status()));
  const Identity late = clients_.Issue("DNS:client", {.first = -3, .last = -1});
  EXPECT_TRUE(absl::IsUnavailable(Connect(TrustingAs(late))->GetStatus().status()));
  // Probes show no certificate.
  EXPECT_THAT(ShakeHands(server_->http_address(), 0, kGetHealth).answer, HasSubstr("200 OK"));
}

TEST_F(TlsServerTest, EveryWrongPairKeepsTheOldOne) {
  Start();
  const Identity next = authority_.Issue(kNames);
  const Identity old = authority_.Issue(kNames, {.first = -3, .last = -1});
  const std::string half = next.certificate.substr(0, next.certificate.size() / 2);
  struct Wrong {
    std::string certificate;
    std::optional<std::string> key;
    std::string reason;
  };
  const std::vector<Wrong> wrong = {
      {next.certificate, identity_.key, "is not the key of"},
      {identity_.certificate, next.key, "is not the key of"},
      {half, next.key, "certificate 1 is damaged"},
      {next.certificate, next.key.substr(0, next.key.size() / 2), "has no private key"},
      {"", "", "has no certificate"},
      {old.certificate, old.key, "expired at"},
      {next.certificate, std::nullopt, "tls_key_file: "},
  };
  int refused = 0;
  for (const Wrong& one : wrong) {
    Place(one.certificate, one.key);
    ++refused;
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(
          Metrics(), absl::StrCat("file=\"tls_cert_file\",outcome=\"refused\"} ", refused, "\n"));
    })) << one.reason;
    EXPECT_TRUE(WasLogged(one.reason)) << one.reason;
    EXPECT_TRUE(BothPortsShow(identity_)) << one.reason;
  }
  EXPECT_TRUE(Connect(Trusting())->GetStatus().ok());

  Place(next.certificate, next.key);
  EXPECT_TRUE(Eventually([&] { return BothPortsShow(next); }));
  EXPECT_THAT(Metrics(), HasSubstr("file=\"tls_cert_file\",outcome=\"applied\"} 2\n"));
  EXPECT_THAT(Metrics(), HasSubstr("\nqkserve_tls_certificate_expires_seconds 1"));
}

// Sends requests again and again on its own thread.
class Asker {
 public:
  explicit Asker(std::function<bool()> ask)
      : thread_([this, ask = std::move(ask)] {
          while (!is_stopping_) (ask() ? answered_ : failed_)++;
        }) {}
  ~Asker() {
    is_stopping_ = true;
    thread_.join();
  }
  int answered() const { return answered_; }
  int failed() const { return failed_; }

 private:
  std::atomic<bool> is_stopping_{false};
  std::atomic<int> answered_{0};
  std::atomic<int> failed_{0};
  std::thread thread_;
};

TEST_F(TlsServerTest, TwentyRotationsUnderLoadFailNoCall) {
  Start();
  const std::unique_ptr<Client> client = Connect(Trusting());
  ASSERT_TRUE(client->GetStatus().ok());
  const Asker old_connection([&] { return client->GetStatus().ok(); });
  const Asker new_connections([&] { return ShakeHands(server_->address()).is_done; });
  const Asker http([&] {
    return absl::StrContains(ShakeHands(server_->http_address(), 0, kGetHealth).answer, "200 OK");
  });
  Identity identity;
  for (int i = 0; i < 20; ++i) {
    identity = authority_.Issue(kNames);
    Place(identity.certificate, identity.key);
    // HTTP uses a new identity at once, and gRPC within a second.
    EXPECT_TRUE(Eventually([&] {
      return ShakeHands(server_->http_address()).certificate == identity.certificate;
    })) << i;
  }
  EXPECT_TRUE(Eventually([&] { return BothPortsShow(identity); }));
  for (const Asker* const asker : {&old_connection, &new_connections, &http}) {
    EXPECT_GT(asker->answered(), 5);
    EXPECT_EQ(asker->failed(), 0);
  }
}

TEST_F(TlsServerTest, ANewAuthorityOfClientsComesIntoUse) {
  StartForKnownClients();
  const TestAuthority next;
  const TlsOptions tls = TrustingAs(next.Issue("DNS:client"));
  EXPECT_TRUE(absl::IsUnavailable(Connect(tls)->GetStatus().status()));
  Write("client_ca.pem", next.certificate());
  EXPECT_TRUE(Eventually([&] { return Connect(tls)->GetStatus().ok(); }));
}

TEST_F(TlsServerTest, AWrongFileEndsTheStart) {
  Place(identity_.certificate, authority_.Issue(kNames).key);
  const absl::Status status = Server::Start(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), absl::StrCat("tls_cert_file: ", options_.tls_key_file,
                                           ": is not the key of ", options_.tls_cert_file));
  Place(identity_.certificate, std::nullopt);
  EXPECT_THAT(std::string(Server::Start(options_).status().message()),
              HasSubstr("tls_key_file: " + options_.tls_key_file + ": cannot open"));
}

TEST_F(TlsServerTest, HealthIsCheckedOverTls) {
  StartForKnownClients();
  constexpr absl::Duration kTimeout = absl::Seconds(10);
  const TlsOptions client = TrustingAs(clients_.Issue("DNS:client"));
  const CheckTls known = {.cert_file = client.cert_file, .key_file = client.key_file};
  const auto check = [&](const std::optional<CheckTls>& tls) {
    return CheckHealth(server_->address(), tls, kTimeout);
  };
  EXPECT_TRUE(check(known).ok()) << check(known);
  CheckTls verifying = known;
  verifying.ca_file = client.ca_file;
  EXPECT_TRUE(check(verifying).ok()) << check(verifying);
  verifying.server_name = "qkserve.test";
  EXPECT_TRUE(check(verifying).ok()) << check(verifying);
  verifying.server_name = "other.test";
  EXPECT_TRUE(absl::IsUnavailable(check(verifying)));
  verifying.server_name = "";
  // An empty file must not mean that every authority is trusted.
  verifying.ca_file = Write("empty.pem", "");
  EXPECT_TRUE(absl::IsInvalidArgument(check(verifying))) << check(verifying);
  verifying.ca_file = Write("other_ca.pem", TestAuthority().certificate());
  EXPECT_TRUE(absl::IsUnavailable(check(verifying)));
  EXPECT_TRUE(absl::IsUnavailable(check(CheckTls())));
  EXPECT_TRUE(absl::IsUnavailable(check(std::nullopt)));
  EXPECT_EQ(check(CheckTls{.cert_file = client.cert_file}).message(),
            "check_cert_file needs a check_key_file");
}

TEST(PlaintextTest, AnAddressThatOthersReachNeedsAFlag) {
  ServerOptions options;
  options.listen_address = "0.0.0.0:0";
  const absl::Status grpc = Server::Start(options).status();
  EXPECT_EQ(grpc.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(grpc.message(),
            "listen_address: other machines may reach 0.0.0.0:0, and nothing is encrypted; give "
            "--tls_cert_file and --tls_key_file, or --allow_plaintext if the network is trusted");
  options.listen_address = "127.0.0.1:0";
  options.http_address = "[::]:0";
  EXPECT_THAT(std::string(Server::Start(options).status().message()),
              HasSubstr("http_address: other machines may reach [::]:0"));
  options.allow_plaintext = true;
  EXPECT_TRUE(Server::Start(options).ok());
}

}  // namespace
}  // namespace qkserve
