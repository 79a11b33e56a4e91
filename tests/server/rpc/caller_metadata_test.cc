// The tenant of a call, from its metadata to the metrics.

#include "server/rpc/caller_metadata.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/server/key_set_server_test.h"
#include "tests/support/http_peer.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;
using testing::HasSubstr;

TEST(PeerTenantTest, IsTheAddressWithoutThePortOrTheIpv6Prefix) {
  EXPECT_EQ(PeerTenant("ipv4:10.0.0.7:51234"), "10.0.0.7");
  EXPECT_EQ(PeerTenant("ipv6:[2001:db8::7]:51234"), "2001:db8::/64");
  EXPECT_EQ(PeerTenant("ipv6:%5B2001:db8::8%5D:51234"), "2001:db8::/64");
  EXPECT_EQ(PeerTenant("ipv6:%5Bfe80::1%252%5D:51234"), "fe80::/64");
  EXPECT_EQ(PeerTenant("ipv6:[::ffff:10.0.0.7]:51234"), "10.0.0.7");
  EXPECT_EQ(PeerTenant("ipv6:%5B::1%5D:51234"), "::1");
  EXPECT_EQ(PeerTenant("unix:"), "unix");
  EXPECT_EQ(PeerTenant("unix:/run/a"), "unix");
  EXPECT_EQ(PeerTenant("something"), "something");
}

class CallerMetadataTest : public KeySetServerTest {
 protected:
  absl::Status Score(const Metadata& metadata) {
    const Tensor tensor = Floats({2, 4}, 1);
    return client_->Score(tensor.View(), tensor.View(), {.metadata = metadata}).status();
  }
  std::string Metrics() const { return AskHttp(server_->http_address(), "GET", "/metrics").body; }
};

TEST_F(CallerMetadataTest, TheTenantIsTheNameGivenOrElseTheAddress) {
  options_.http_address = "127.0.0.1:0";
  Start();
  EXPECT_TRUE(Score({{"qkserve-tenant", "team-a/web@example.com:1"}}).ok());
  EXPECT_TRUE(Score({{"qkserve-priority", "low"}}).ok());
  EXPECT_TRUE(Score({{"qkserve-priority", "normal"}}).ok());
  const std::string metrics = Metrics();
  const auto requests = [](const std::string& tenant, int count) {
    return absl::StrCat("qkserve_tenant_requests_total{tenant=\"", tenant, "\",outcome=\"ok\"} ",
                        count, "\n");
  };
  EXPECT_THAT(metrics, HasSubstr(requests("team-a/web@example.com:1", 1)));
  EXPECT_THAT(metrics, HasSubstr(requests("127.0.0.1", 2)));
  EXPECT_THAT(metrics, HasSubstr("qkserve_tenants 2\n"));
}

TEST_F(CallerMetadataTest, BadNamesAndPrioritiesAreRefused) {
  Start();
  EXPECT_THAT(Score({{"qkserve-tenant", "a b"}}),
              FailsWith(kInvalidArgument,
                        "metadata qkserve-tenant: got 'a b', expected 1 to 128 "
                        "of A-Z a-z 0-9 . _ - : @ /"));
  EXPECT_THAT(Score({{"qkserve-tenant", ""}}), FailsWith(kInvalidArgument, "got ''"));
  EXPECT_THAT(Score({{"qkserve-tenant", std::string(129, 'a')}}),
              FailsWith(kInvalidArgument, "metadata qkserve-tenant"));
  EXPECT_THAT(Score({{"qkserve-tenant", "a"}, {"qkserve-tenant", "b"}}),
              FailsWith(kInvalidArgument, "metadata qkserve-tenant: got several values"));
  EXPECT_THAT(
      Score({{"qkserve-priority", "high"}}),
      FailsWith(kInvalidArgument, "metadata qkserve-priority: got 'high', expected normal or low"));
}

TEST_F(CallerMetadataTest, AQuotaHoldsForItsTenantAndIsReadAgain) {
  const TemporaryDirectory directory;
  const std::string path = directory.Path("quotas.json");
  const auto write = [&path](const std::string& text) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    std::fputs(text.c_str(), file);
    std::fclose(file);
  };
  write(R"({"tenants": {"poor": {"cpu_ms_per_second": 0}}})");
  options_.tenant_quota_file = path;
  options_.file_check_interval = absl::Milliseconds(5);
  options_.http_address = "127.0.0.1:0";
  Start();
  const Metadata poor = {{"qkserve-tenant", "poor"}};
  EXPECT_THAT(Score(poor), FailsWith(kResourceExhausted, "the quota of tenant poor is used up"));
  EXPECT_TRUE(Score({{"qkserve-tenant", "rich"}}).ok());
  EXPECT_THAT(Metrics(), HasSubstr("qkserve_refused_requests_total{reason=\"tenant_quota\"} 1\n"));
  EXPECT_THAT(Metrics(),
              HasSubstr("qkserve_tenant_requests_total{tenant=\"poor\",outcome=\"quota\"} 1\n"));
  write(R"({"tenants": {"poor": {"cpu_ms_per_second": 1000}}})");
  EXPECT_TRUE(Eventually([&] { return Score(poor).ok(); }));
}

TEST_F(CallerMetadataTest, AQuotaFileThatIsWrongEndsTheStart) {
  options_.tenant_quota_file = "/nowhere/quotas.json";
  const absl::Status status = Server::Start(options_).status();
  EXPECT_EQ(status.code(), kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("tenant_quota_file"));
}

}  // namespace
}  // namespace qkserve
