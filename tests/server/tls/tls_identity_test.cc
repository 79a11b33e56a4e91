#include "server/tls/tls_identity.h"

#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/test_authority.h"

namespace qkserve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TlsIdentityTest : public testing::Test {
 protected:
  absl::StatusOr<TlsIdentity> Check(const std::string& chain, const std::string& key,
                                    absl::Time now = absl::Now()) const {
    return CheckTlsIdentity({.cert = "c.pem", .key = "k.pem"}, {chain, key}, now);
  }
  // Returns the message of the error, or "" if there is none.
  std::string Error(const std::string& chain, const std::string& key) const {
    return std::string(Check(chain, key).status().message());
  }

  const TestAuthority authority_;
  const Identity good_ = authority_.Issue("DNS:qkserve.test");
};

TEST_F(TlsIdentityTest, TakesAPairAndKnowsWhenItExpires) {
  const absl::StatusOr<TlsIdentity> identity =
      Check(good_.certificate + authority_.certificate(), good_.key);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->chain, good_.certificate + authority_.certificate());
  EXPECT_EQ(identity->client_ca, "");
  const absl::Duration left = identity->expires - absl::Now();
  EXPECT_GT(left, absl::Hours(23));
  EXPECT_LE(left, absl::Hours(24));
}

TEST_F(TlsIdentityTest, NamesTheFileAndSaysWhatIsWrong) {
  EXPECT_EQ(Error(good_.certificate, authority_.Issue("DNS:a").key),
            "k.pem: is not the key of c.pem");
  const std::string half = good_.certificate.substr(0, good_.certificate.size() / 2);
  EXPECT_EQ(Error(half, good_.key), "c.pem: certificate 1 is damaged");
  EXPECT_EQ(Error(good_.certificate + half, good_.key), "c.pem: certificate 2 is damaged");
  EXPECT_EQ(Error("", good_.key), "c.pem: has no certificate in PEM format");
  EXPECT_THAT(Error(good_.certificate, good_.key.substr(0, good_.key.size() / 2)),
              StartsWith("k.pem: has no private key in PEM format"));
}

TEST_F(TlsIdentityTest, TheTimeMustBeWithinTheCertificates) {
  const Identity old = authority_.Issue("DNS:a", {.first = -3, .last = -1});
  EXPECT_THAT(Error(old.certificate, old.key), StartsWith("c.pem: expired at 20"));
  // The certificate becomes valid later without a change, so the caller may try again.
  const Identity early = authority_.Issue("DNS:a", {.first = 1, .last = 3});
  const absl::Status status = Check(early.certificate, early.key).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("c.pem: is valid only from 20"));
  EXPECT_TRUE(Check(early.certificate, early.key, absl::Now() + absl::Hours(48)).ok());
}

// OpenSSL would refuse the key when gRPC loads it, and every handshake would fail.
TEST_F(TlsIdentityTest, AKeyThatIsTooWeakIsRefused) {
  const Identity weak = authority_.IssueWeak("DNS:a");
  EXPECT_THAT(Error(weak.certificate, weak.key), HasSubstr("c.pem: OpenSSL does not take it: "));
}

TEST_F(TlsIdentityTest, TheAuthorityOfClientsIsChecked) {
  const TlsPaths paths = {.cert = "c.pem", .key = "k.pem", .client_ca = "ca.pem"};
  const auto check = [&](const std::string& client_ca) {
    return CheckTlsIdentity(paths, {good_.certificate, good_.key, client_ca}, absl::Now());
  };
  EXPECT_EQ(check(authority_.certificate())->client_ca, authority_.certificate());
  EXPECT_EQ(check(good_.key).status().message(), "ca.pem: has no certificate in PEM format");
}

}  // namespace
}  // namespace qkserve
