#include "server/admission/tenant_quotas.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(TenantQuotasTest, ReadsTheDefaultAndTheTenants) {
  const TenantQuotas quotas = ParseTenantQuotas(R"({
      "default": {"cpu_ms_per_second": 250},
      "tenants": {
        "web": {"cpu_ms_per_second": 1500.5},
        "ops": {"cpu_ms_per_second": "unlimited"},
        "old": {"cpu_ms_per_second": 0}
      }
    })")
                                  .value();
  EXPECT_EQ(quotas.RateOf("anybody"), 0.25);
  EXPECT_EQ(quotas.RateOf("web"), 1.5005);
  EXPECT_EQ(quotas.RateOf("ops"), std::nullopt);
  EXPECT_EQ(quotas.RateOf("old"), 0.0);
}

TEST(TenantQuotasTest, WithoutADefaultOthersHaveNoQuota) {
  EXPECT_EQ(ParseTenantQuotas("{}")->RateOf("anybody"), std::nullopt);
}

TEST(TenantQuotasTest, ErrorsNameTheMemberOrTheLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "line 1: this is not JSON"},
      {"{\n\"default\": {\n", "line 3: this is not JSON"},
      {"[]", "the file: got array, expected an object"},
      {R"({"defaults": {}})", "defaults: unknown member, expected default or tenants"},
      {R"({"default": 5})", "default: got number, expected an object"},
      {R"({"default": {}})",
       "default.cpu_ms_per_second: got none, expected a number from 0 to "
       "1e+09, or \"unlimited\""},
      {R"({"tenants": {"web": {"cpu_ms_per_second": -1}}})",
       "tenants.web.cpu_ms_per_second: got -1, expected a number from 0 to 1e+09, or "
       "\"unlimited\""},
      {R"({"tenants": {"web": {"cpu_ms_per_second": "5"}}})",
       "tenants.web.cpu_ms_per_second: got \\\"5\\\", expected a number from 0 to 1e+09, or "
       "\"unlimited\""},
      {R"({"tenants": {"web": {"cpu_ms": 1}}})",
       "tenants.web.cpu_ms: unknown member, expected cpu_ms_per_second"},
      {R"({"tenants": []})", "tenants: got array, expected an object"},
      {R"({"tenants": {"": {}}})",
       "tenants: got the name '', expected 1 to 2048 visible ASCII characters"},
      {R"({"tenants": {"a b": {}}})",
       "tenants: got the name 'a b', expected 1 to 2048 visible ASCII characters"},
      {R"({"tenants": {"a": {"cpu_ms_per_second": 1}, "a": {"cpu_ms_per_second": 2}}})",
       "a: got twice, expected once"},
      {R"({"tenants": {"a": {"cpu_ms_per_second": [[[[1]]]]}}})", "objects are nested too deeply"},
      {R"({"default": {"cpu_ms_per_second": 1e999}})", "a number is too large"}};
  for (const auto& [text, error] : cases) {
    EXPECT_EQ(ParseTenantQuotas(text).status(), absl::InvalidArgumentError(error)) << text;
  }
}

}  // namespace
}  // namespace qkserve
