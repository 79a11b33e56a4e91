// Tokens and their file, and identities.

#include "server/access/token_file.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpc/grpc_security_constants.h"
#include "gtest/gtest.h"
#include "server/access/identity.h"

namespace qkserve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string IdentityOf(const TokenTable& table, absl::string_view token) {
  const std::string* const identity = table.Find(token);
  return identity == nullptr ? "" : *identity;
}

std::string LineOf(absl::string_view identity, absl::string_view token) {
  return TokenFileLine(identity, token).value();
}

std::string ErrorOf(absl::string_view text) {
  const absl::Status status = ParseTokenFile(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(TokenFileTest, FindsTheIdentityOfEachToken) {
  const TokenTable table =
      ParseTokenFile(absl::StrCat("# two tokens while one is replaced\n", LineOf("ranking", "t1"),
                                  "\n", LineOf("ranking", "t2"), "  # new\r\n\n",
                                  LineOf("spiffe://example.org/up", "t3")))
          .value();
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(IdentityOf(table, "t1"), "ranking");
  EXPECT_EQ(IdentityOf(table, "t2"), "ranking");
  EXPECT_EQ(IdentityOf(table, "t3"), "spiffe://example.org/up");
  for (const char* const wrong : {"", "t", "t4", "t1 ", "T1"}) {
    EXPECT_EQ(IdentityOf(table, wrong), "") << wrong;
  }
  EXPECT_EQ(ParseTokenFile("\n# none\n").value().size(), 0U);
}

TEST(TokenFileTest, TheHashIsSha256) {
  // printf %s abc | sha256sum
  EXPECT_EQ(LineOf("a", "abc"),
            "a sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const TokenTable table =
      ParseTokenFile("a sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")
          .value();
  EXPECT_EQ(IdentityOf(table, "abc"), "a");
}

TEST(TokenFileTest, ErrorsNameTheLineAndShowNoToken) {
  const std::string line = LineOf("a", "x");
  for (const std::string& bad :
       {std::string("a"), std::string("a secret-token"), line + " more", line + "0",
        line.substr(0, line.size() - 1), line.substr(0, line.size() - 1) + "g",
        absl::StrCat("a ", line.substr(9))}) {
    const std::string error = ErrorOf(absl::StrCat(line, "\n", bad));
    EXPECT_EQ(error, "line 2: expected an identity and sha256: with 64 hexadecimal digits") << bad;
  }
  EXPECT_THAT(ErrorOf("anyone sha256:00"), HasSubstr("identity: got 'anyone', expected"));
  EXPECT_EQ(ErrorOf(absl::StrCat(line, "\n", line, "\n", LineOf("b", "x"))),
            "line 3: the token belongs to 'a' already");
}

TEST(TokenFileTest, NewTokensAreLongAndDiffer) {
  const std::string token = MakeToken().value();
  EXPECT_THAT(token, testing::MatchesRegex("[A-Za-z0-9_-]{43}"));
  EXPECT_NE(token, MakeToken().value());
  EXPECT_EQ(IdentityOf(ParseTokenFile(LineOf("a", token)).value(), token), "a");
  EXPECT_THAT(LineOf("a", token), Not(HasSubstr(token)));
}

// Runs in a child process, because a process looks up OpenSSL's SHA-256 only once.
TEST(TokenFileDeathTest, WithoutSha256NoTokenIsFound) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        EVP_set_default_properties(nullptr, "provider=none");
        const bool is_closed = TokenTable().Find("t") == nullptr &&
                               absl::IsInternal(TokenFileLine("a", "t").status()) &&
                               absl::IsInternal(ParseTokenFile("").status());
        std::exit(is_closed ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// The names of a peer's certificate, in the form in which gRPC gives them.
class Peer final : public grpc::AuthContext {
 public:
  using Properties = std::multimap<std::string, std::string>;

  explicit Peer(Properties properties, bool is_authenticated = true)
      : properties_(std::move(properties)), is_authenticated_(is_authenticated) {}

  bool IsPeerAuthenticated() const override { return is_authenticated_; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string& name) const override {
    std::vector<grpc::string_ref> values;
    const auto [begin, end] = properties_.equal_range(name);
    for (auto i = begin; i != end; ++i) values.emplace_back(i->second);
    return values;
  }

  // The server does not use the functions below.
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  grpc::AuthPropertyIterator begin() const override { return Iterator(); }
  grpc::AuthPropertyIterator end() const override { return Iterator(); }
  void AddProperty(const std::string& /*key*/, const grpc::string_ref& /*value*/) override {}
  bool SetPeerIdentityPropertyName(const std::string& /*name*/) override { return false; }

 private:
  class Iterator : public grpc::AuthPropertyIterator {};

  const Properties properties_;
  const bool is_authenticated_;
};

std::string NameOf(const Peer::Properties& properties, bool is_authenticated = true) {
  return IdentityOfCertificate(Peer(properties, is_authenticated));
}

constexpr char kUri[] = GRPC_PEER_URI_PROPERTY_NAME;
constexpr char kDns[] = GRPC_PEER_DNS_PROPERTY_NAME;
constexpr char kCn[] = GRPC_X509_CN_PROPERTY_NAME;

TEST(IdentityTest, ACertificatesUriComesBeforeItsDnsNameAndItsCommonName) {
  const Peer::Properties all = {
      {kCn, "cn"}, {kDns, "first.test"}, {kDns, "b.test"}, {kUri, "spiffe://example.org/a"}};
  EXPECT_EQ(NameOf(all), "spiffe://example.org/a");
  EXPECT_EQ(NameOf({{kCn, "cn"}, {kDns, "first.test"}, {kDns, "b.test"}}), "first.test");
  EXPECT_EQ(NameOf(Peer::Properties{{kCn, "cn"}}), "cn");
  EXPECT_EQ(NameOf({}), "");
  EXPECT_EQ(NameOf(all, /*is_authenticated=*/false), "");
  EXPECT_EQ(NameOf({{kUri, "x:1"}, {kUri, "x:2"}, {kDns, "a.test"}}), "");
}

TEST(IdentityTest, NamesOfCertificatesBecomeWordsOfTheFiles) {
  const auto of = [](const std::string& name) { return NameOf(Peer::Properties{{kCn, name}}); };
  EXPECT_EQ(of("Search Team"), "Search%20Team");
  EXPECT_EQ(of("100%"), "100%25");
  EXPECT_EQ(of("#1#2"), "%231#2");
  EXPECT_EQ(of("\xc3\xbc\n"), "%C3%BC%0A");
  // The files use the word `anyone` for everybody, so no certificate may have it as an identity.
  EXPECT_EQ(of("anyone"), "%61nyone");
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of(std::string(2048, 'a')).size(), 2048U);
  EXPECT_EQ(of(std::string(2049, 'a')), "");
  for (const char* const name : {"a", "spiffe://example.org/ns/a", "Search%20Team"}) {
    EXPECT_TRUE(IsIdentity(name)) << name;
  }
  for (const char* const name : {"", "anyone", "#a", "a b", "\xc3\xbc"}) {
    EXPECT_FALSE(IsIdentity(name)) << name;
  }
}

}  // namespace
}  // namespace qkserve
