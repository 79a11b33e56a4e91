#include "server/admission/tenants.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/limit_error.h"
#include "gtest/gtest.h"
#include "server/limits.h"

namespace qkserve {
namespace {

class TenantsTest : public testing::Test {
 protected:
  std::shared_ptr<Tenant> Find(const std::string& name, bool is_authenticated = false) {
    return tenants_.Find(name, is_authenticated, now_);
  }
  void Fill() {
    for (int64_t i = tenants_.count(); i < kTenantsMax; ++i) Find(absl::StrCat("filler-", i));
  }

  Tenants tenants_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(TenantsTest, ANameIsOneTenantWithAnIdOfItsOwn) {
  EXPECT_EQ(Find("web"), Find("web"));
  EXPECT_NE(Find("web")->id(), Find("batch")->id());
  EXPECT_EQ(Find("web")->name(), "web");
}

TEST_F(TenantsTest, NamesBeyondTheLimitShareOneTenant) {
  Fill();
  EXPECT_EQ(tenants_.count(), kTenantsMax);
  EXPECT_EQ(Find("late")->name(), Tenants::kOther);
  EXPECT_EQ(Find("late"), Find("later"));
  EXPECT_EQ(Find("late"), Find("other"));
  EXPECT_EQ(Find("filler-7")->name(), "filler-7");
  EXPECT_EQ(Find("proven", /*is_authenticated=*/true)->name(), "proven");
}

TEST_F(TenantsTest, AnIdleNameMakesRoom) {
  const auto held = Find("held");
  Find("idle")->Count(TenantOutcome::kOk, {.worker_time = absl::Seconds(3)});
  now_ += kTenantIdleMin;
  Fill();
  EXPECT_EQ(Find("new")->name(), "new");
  EXPECT_EQ(Find("newer")->name(), Tenants::kOther);
  // The counts of the idle name are kept, and its id is not used again.
  EXPECT_EQ(Find("other")->counts().compute, absl::Seconds(3));
  EXPECT_EQ(Find("held"), held);
}

TEST_F(TenantsTest, IdleAuthenticatedNamesDoNotKeepIdleOthersInTheirPlaces) {
  for (int i = 0; i < 20; ++i) Find(absl::StrCat("nightly-", i), /*is_authenticated=*/true);
  Fill();
  now_ += kTenantIdleMin;
  EXPECT_EQ(Find("new")->name(), "new");
}

TEST_F(TenantsTest, AuthenticatedNamesTakeThePlaceOfIdleOnes) {
  for (int64_t i = 0; i < kTenantsMax + 2; ++i) Find(absl::StrCat("id-", i), true);
  EXPECT_EQ(tenants_.count(), kTenantsMax + 2);
  now_ += kTenantIdleMin;
  EXPECT_EQ(Find("new", /*is_authenticated=*/true)->name(), "new");
  EXPECT_EQ(tenants_.count(), kTenantsMax + 2);
  // Other names have their own limit.
  EXPECT_EQ(Find("claimed")->name(), "claimed");
}

TEST_F(TenantsTest, NobodyTakesTheTenantOfAnAuthenticatedName) {
  const auto proven = Find("web", /*is_authenticated=*/true);
  EXPECT_EQ(Find("web")->name(), Tenants::kOther);
  EXPECT_EQ(Find("web", /*is_authenticated=*/true), proven);
}

TEST_F(TenantsTest, AQuotaRefusesWithTheTimeToComeAgain) {
  const auto web = Find("web");
  tenants_.SetQuotas({.rates = {{"web", 0.1}, {"none", 0.0}}}, now_);
  EXPECT_TRUE(web->TakeQuota(absl::Milliseconds(100), now_).ok());
  const absl::Status refused = web->TakeQuota(absl::Milliseconds(10), now_);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(LimitOf(refused), "tenant_quota_file");
  EXPECT_EQ(RetryAfterOf(refused), absl::Milliseconds(100));
  EXPECT_EQ(refused.message(),
            "the quota of tenant web is used up: the request needs 10ms of CPU time, which it may "
            "have in 100ms");
  web->GiveBackQuota(absl::Milliseconds(20));
  EXPECT_TRUE(web->TakeQuota(absl::Milliseconds(10), now_).ok());
  // With a quota of 0, it never helps to wait.
  EXPECT_EQ(RetryAfterOf(Find("none")->TakeQuota(absl::Milliseconds(1), now_)), absl::nullopt);
  EXPECT_TRUE(Find("free")->TakeQuota(absl::Hours(1), now_).ok());
}

TEST_F(TenantsTest, NewQuotasHoldForKnownTenantsToo) {
  const auto web = Find("web");
  tenants_.SetQuotas({.default_rate = 0.001}, now_);
  EXPECT_TRUE(web->TakeQuota(absl::Milliseconds(1), now_).ok());
  EXPECT_FALSE(web->TakeQuota(absl::Milliseconds(1), now_).ok());
  tenants_.SetQuotas({}, now_);
  EXPECT_TRUE(web->TakeQuota(absl::Hours(1), now_).ok());
}

TEST_F(TenantsTest, TheLargestAreThoseThatComputedMost) {
  for (int i = 1; i <= 5; ++i) {
    Find(absl::StrCat("t", i))->Count(TenantOutcome::kOk, {.worker_time = absl::Seconds(i)});
  }
  std::vector<std::string> names;
  for (const auto& tenant : tenants_.Largest(2)) names.push_back(tenant->name());
  EXPECT_EQ(names, (std::vector<std::string>{"t5", "t4", "other"}));
}

}  // namespace
}  // namespace qkserve
