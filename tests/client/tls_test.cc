// TLS of the client library and of qkctl, against a real gRPC server.

#include "client/tls.h"

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/connection_hint.h"
#include "formats/tensor_file.h"
#include "gmock/gmock.h"
#include "grpcpp/security/server_credentials.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/support/process.h"
#include "tests/support/scoring_double.h"
#include "tests/support/test_authority.h"
#include "tools/qkctl/output/tensor_output.h"

namespace qkserve {
namespace {

// The server's certificate is valid for this name and for 127.0.0.1.
constexpr char kName[] = "qkserve.test";

const float kOne = 1;

TensorView OneElement() { return Matrix({&kOne, 1}, 1, 1); }

// Answers a request with the single score 7.
ScoringDouble::Answer AnswerSeven(const v1::ScoreRequest& /*request*/) {
  const float seven = 7;
  ScoringDouble::Answer answer;
  v1::Tensor& result = *answer.response.mutable_result();
  result.set_data_type(v1::FLOAT32);
  result.add_shape(1);
  result.add_shape(1);
  result.set_data(std::string(reinterpret_cast<const char*>(&seven), sizeof(seven)));
  answer.response.mutable_receipt()->set_batch_requests(1);
  return answer;
}

class TlsTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  std::string Write(absl::string_view name, absl::string_view text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }

  // Starts a server with a certificate of the authority. If `wants_client` is true, the server asks
  // clients for a certificate.
  std::unique_ptr<ScoringDouble> Serve(bool wants_client = false) const {
    grpc::SslServerCredentialsOptions options(
        wants_client ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    const Identity identity = authority_.Issue(absl::StrCat("DNS:", kName, ",IP:127.0.0.1"));
    options.pem_root_certs = authority_.certificate();
    options.pem_key_cert_pairs.push_back({identity.key, identity.certificate});
    return std::make_unique<ScoringDouble>(&AnswerSeven, grpc::SslServerCredentials(options));
  }

  // Returns options that trust the authority.
  TlsOptions Trusting() const { return {.ca_file = ca_file_}; }

  // Returns options that trust the authority and show a certificate of `authority`.
  TlsOptions TrustingAs(const TestAuthority& authority) const {
    const Identity identity = authority.Issue("DNS:client.test");
    return {.ca_file = ca_file_,
            .cert_file = Write("client.pem", identity.certificate),
            .key_file = Write("client.key", identity.key)};
  }

  absl::Status ScoreWith(const ScoringDouble& server, std::optional<TlsOptions> tls) const {
    absl::StatusOr<std::unique_ptr<Client>> client =
        Client::Create({.address = server.address(), .tls = std::move(tls)});
    if (!client.ok()) return client.status();
    return (*client)->Score(OneElement(), OneElement()).status();
  }

  // Expects the status UNAVAILABLE with a message that begins with `meaning`, followed by gRPC's
  // text.
  void ExpectRefused(const absl::Status& status, absl::string_view meaning) const {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(absl::StartsWith(status.message(), meaning)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), " (")) << status;
  }

  // Expects that the client reports bad files before it connects.
  void ExpectNoClient(TlsOptions tls, absl::StatusCode code, absl::string_view message) const {
    const absl::Status status = Client::Create({.tls = std::move(tls)}).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
  }

  const TemporaryDirectory directory_{"tls_test"};
  const TestAuthority authority_;
  const std::string ca_file_ = Write("ca.pem", authority_.certificate());
};

TEST_F(TlsTest, TalksToAServerOfATrustedAuthority) {
  const auto server = Serve();
  EXPECT_TRUE(ScoreWith(*server, Trusting()).ok()) << ScoreWith(*server, Trusting());
  EXPECT_TRUE(ScoreWith(*Serve(), TlsOptions{.ca_file = ca_file_, .server_name = kName}).ok());
}

TEST_F(TlsTest, RefusesAServerOfAnotherAuthority) {
  const auto server = Serve();
  constexpr char kMeaning[] = "the server's certificate is not from an authority that is trusted";
  const TestAuthority other;
  // The other authority has the same name, but another key.
  ExpectRefused(ScoreWith(*server, TlsOptions{.ca_file = Write("o.pem", other.certificate())}),
                kMeaning);
  // Trusts only the system's authorities.
  ExpectRefused(ScoreWith(*server, TlsOptions{}), kMeaning);
}

TEST_F(TlsTest, RefusesAServerOfAnotherName) {
  ExpectRefused(ScoreWith(*Serve(), TlsOptions{.ca_file = ca_file_, .server_name = "other.test"}),
                "the server's certificate is for another name (");
}

TEST_F(TlsTest, SaysWhereOneSideSpeaksNoTls) {
  ExpectRefused(ScoreWith(ScoringDouble(&AnswerSeven), Trusting()),
                "the server does not speak TLS (");
  ExpectRefused(ScoreWith(*Serve(), std::nullopt),
                "the server closes connections at once; it may want TLS, ");
}

TEST_F(TlsTest, ShowsItsCertificateToAServerThatWantsOne) {
  const auto server = Serve(/*wants_client=*/true);
  const absl::Status status = ScoreWith(*server, TrustingAs(authority_));
  EXPECT_TRUE(status.ok()) << status;

  constexpr char kMeaning[] = "the server closes connections at once; it may want TLS, or a client";
  ExpectRefused(ScoreWith(*server, Trusting()), kMeaning);
  const TestAuthority other;
  ExpectRefused(ScoreWith(*server, TrustingAs(other)), kMeaning);
}

TEST_F(TlsTest, FilesThatAreNotThereAreNamed) {
  const TlsOptions good = TrustingAs(authority_);
  const std::string absent = Path("absent.pem");
  const auto expect_absent = [&](std::string TlsOptions::*field, absl::string_view name) {
    TlsOptions tls = good;
    tls.*field = absent;
    ExpectNoClient(tls, absl::StatusCode::kNotFound,
                   absl::StrCat(name, " ", absent, ": cannot open"));
  };
  expect_absent(&TlsOptions::ca_file, "tls.ca_file");
  expect_absent(&TlsOptions::cert_file, "tls.cert_file");
  expect_absent(&TlsOptions::key_file, "tls.key_file");
  const absl::Status folder =
      Client::Create({.tls = TlsOptions{.ca_file = directory_.path()}}).status();
  EXPECT_TRUE(absl::StrContains(folder.message(), "Is a directory")) << folder;
}

TEST_F(TlsTest, FilesThatHoldSomethingElseAreNamed) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const TlsOptions good = TrustingAs(authority_);
  const std::string text = Write("text", "certificate\n");
  const std::string damaged =
      Write("damaged.pem", absl::StrCat(authority_.certificate(),
                                        "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                        "-----END CERTIFICATE-----\n"));
  ExpectNoClient({.ca_file = text}, kInvalid,
                 absl::StrCat("tls.ca_file ", text, ": has no certificate in PEM format"));
  ExpectNoClient({.ca_file = good.key_file}, kInvalid, ": has no certificate in PEM format");
  ExpectNoClient({.ca_file = damaged}, kInvalid,
                 absl::StrCat("tls.ca_file ", damaged, ": certificate 2 is damaged"));

  TlsOptions tls = good;
  tls.cert_file = text;
  ExpectNoClient(tls, kInvalid, absl::StrCat("tls.cert_file ", text, ": has no certificate"));
  tls = good;
  tls.key_file = good.cert_file;
  ExpectNoClient(tls, kInvalid,
                 absl::StrCat("tls.key_file ", good.cert_file, ": has no private key"));
  tls.key_file = Write("secret.key",
                       "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                       "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n"
                       "-----END EC PRIVATE KEY-----\n");
  ExpectNoClient(tls, kInvalid, "secret.key: is encrypted; expected a key without a pass phrase");
}

TEST_F(TlsTest, CertificateAndKeyBelongTogether) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const TlsOptions good = TrustingAs(authority_);
  ExpectNoClient({.cert_file = good.cert_file}, kInvalid, "tls.cert_file requires tls.key_file");
  ExpectNoClient({.key_file = good.key_file}, kInvalid, "tls.key_file requires tls.cert_file");
  TlsOptions tls = good;
  tls.key_file = Write("other.key", authority_.Issue("DNS:client.test").key);
  ExpectNoClient(tls, kInvalid,
                 absl::StrCat("tls.key_file ", tls.key_file, ": is not the key of tls.cert_file ",
                              tls.cert_file));
  ExpectNoClient({.server_name = "two words"}, kInvalid, "tls.server_name must be a host's name");
}

TEST_F(TlsTest, KnowsWhatOtherServersSay) {
  EXPECT_THAT(ConnectionHint("Ssl handshake failed: SSL_ERROR_SSL: error:0A000410:SSL "
                             "routines::sslv3 alert handshake failure"),
              testing::HasSubstr("may want a client certificate"));
  EXPECT_THAT(ConnectionHint("Ssl handshake failed: SSL_ERROR_SSL: error:0A000460:SSL "
                             "routines::tlsv1 alert no application protocol"),
              testing::HasSubstr("HTTP/2"));
  EXPECT_THAT(ConnectionHint("Ssl handshake failed: SSL_ERROR_SSL: error:030000EA:digital envelope "
                             "routines::provider signature failure"),
              testing::HasSubstr("certificate is not from an authority"));
  EXPECT_THAT(ConnectionHint("Cannot check peer: missing selected ALPN property."),
              testing::HasSubstr("HTTP/2"));
  EXPECT_THAT(ConnectionHint("last error: UNAVAILABLE: ipv4:127.0.0.1:1: Endpoint read failed"),
              testing::HasSubstr("closes connections at once"));
  EXPECT_EQ(ConnectionHint("Socket closed"), "");  // the connection was already open
}

// --- qkctl --------------------------------------------------------------------------------------

class QkctlTlsTest : public TlsTest {
 protected:
  Outcome Qkctl(std::vector<std::string> args) const {
    args.insert(args.begin(), QKCTL_PROGRAM);
    // If the process ends during a handshake, gRPC 1.51 leaks the handshake's memory.
    return RunCommand(std::move(args), directory_,
                      {"ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0"});
  }

  // Runs a command with the flags for reaching the server.
  Outcome Qkctl(const ScoringDouble& server, std::vector<std::string> args,
                const std::vector<std::string>& flags) const {
    args.push_back(absl::StrCat("--server=", server.address()));
    args.insert(args.end(), flags.begin(), flags.end());
    return Qkctl(std::move(args));
  }

  // Returns a score command without the flags for the server.
  std::vector<std::string> Score() const {
    EXPECT_TRUE(WriteTensorFile(Path("t.npy"), "t", OneElement()).ok());
    return {"score", absl::StrCat("--queries=", Path("t.npy")),
            absl::StrCat("--keys=", Path("t.npy"))};
  }

  void ExpectOneLine(const Outcome& outcome, int exit_code, absl::string_view begin) const {
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(absl::StartsWith(outcome.err, begin)) << outcome.err;
    if (exit_code == 1) {
      EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    }
  }

  const std::string ca_flag_ = absl::StrCat("--tls_ca_file=", ca_file_);
};

TEST_F(QkctlTlsTest, EveryCommandSpeaksTls) {
  const auto server = Serve();
  const Outcome score = Qkctl(*server, Score(), {"--tls", ca_flag_});
  EXPECT_EQ(score.exit_code, 0) << score.err;
  EXPECT_EQ(score.out, "[[7.0]]\n");

  const Outcome load =
      Qkctl(*server, {"load", "--duration=100ms", "--channels=2", "--n=1", "--m=1", "--d=1"},
            {"--tls", ca_flag_, absl::StrCat("--tls_server_name=", kName)});
  EXPECT_EQ(load.exit_code, 0) << load.err;
  EXPECT_TRUE(absl::StrContains(load.out, "over 2 connections")) << load.out;

  // The double lacks these services, but the error shows that the call reached it.
  ExpectOneLine(Qkctl(*server, {"status"}, {"--tls", ca_flag_}), 1, "error: UNIMPLEMENTED: ");
  ExpectOneLine(Qkctl(*server, {"keys", "list"}, {"--tls", ca_flag_}), 1, "error: UNIMPLEMENTED: ");
}

TEST_F(QkctlTlsTest, ShowsItsCertificateToAServerThatWantsOne) {
  const auto server = Serve(/*wants_client=*/true);
  const TlsOptions tls = TrustingAs(authority_);
  const Outcome outcome = Qkctl(*server, Score(),
                                {"--tls", ca_flag_, absl::StrCat("--tls_cert_file=", tls.cert_file),
                                 absl::StrCat("--tls_key_file=", tls.key_file)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  ExpectOneLine(Qkctl(*server, Score(), {"--tls", ca_flag_}), 1,
                "error: UNAVAILABLE: the server closes connections at once; ");
}

TEST_F(QkctlTlsTest, AHandshakeThatFailsIsOneLine) {
  const auto server = Serve();
  constexpr char kUntrusted[] = "error: UNAVAILABLE: the server's certificate is not from an ";
  ExpectOneLine(Qkctl(*server, Score(), {"--tls"}), 1, kUntrusted);
  ExpectOneLine(Qkctl(*server, {"status"}, {"--tls"}), 1, kUntrusted);
  ExpectOneLine(Qkctl(*server, {"load", "--duration=1h"}, {"--tls"}), 1, kUntrusted);
  ExpectOneLine(Qkctl(*server, Score(), {"--tls", ca_flag_, "--tls_server_name=other.test"}), 1,
                "error: UNAVAILABLE: the server's certificate is for another name (");
  ExpectOneLine(Qkctl(*server, Score(), {}), 1,
                "error: UNAVAILABLE: the server closes connections at once; it may want TLS");
  ExpectOneLine(Qkctl(ScoringDouble(&AnswerSeven), Score(), {"--tls", ca_flag_}), 1,
                "error: UNAVAILABLE: the server does not speak TLS (");
}

TEST_F(QkctlTlsTest, FlagsAreNeverIgnored) {
  const auto expect_wrong = [this](const std::vector<std::string>& flags,
                                   absl::string_view message) {
    std::vector<std::string> args = {"status"};
    args.insert(args.end(), flags.begin(), flags.end());
    ExpectOneLine(Qkctl(args), 2, absl::StrCat("error: ", message, "\n"));
  };
  expect_wrong({ca_flag_}, "--tls_ca_file requires --tls");
  expect_wrong({ca_flag_, "--notls"}, "--tls_ca_file requires --tls");
  expect_wrong({"--tls_server_name=a"}, "--tls_server_name requires --tls");
  expect_wrong({"--tls_cert_file=a", "--tls_key_file=b"}, "--tls_cert_file requires --tls");
  expect_wrong({"--tls", "--tls_cert_file=a"}, "--tls_cert_file requires --tls_key_file");
  expect_wrong({"--tls", "--tls_key_file=a"}, "--tls_key_file requires --tls_cert_file");
  ExpectOneLine(Qkctl({"status", "--tls", absl::StrCat("--tls_ca_file=", Path("absent"))}), 1,
                absl::StrCat("error: NOT_FOUND: --tls_ca_file ", Path("absent"), ": cannot open"));
}

}  // namespace
}  // namespace qkserve
