#include "server/lifecycle/readiness.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ReadinessTest, OnlyAServingServerIsReady) {
  for (const ReadyKeySets rule : {ReadyKeySets::kNone, ReadyKeySets::kSome, ReadyKeySets::kAll}) {
    EXPECT_EQ(WhyNotReady(Readiness::kLoading, rule, 0, 0), "key sets are being loaded");
    EXPECT_EQ(WhyNotReady(Readiness::kServing, rule, 0, 0), "");
    EXPECT_EQ(WhyNotReady(Readiness::kServing, rule, 3, 0), "");
    EXPECT_EQ(WhyNotReady(Readiness::kDraining, rule, 3, 0), "the server is draining");
  }
}

TEST(ReadinessTest, TheRuleSaysWhichKeySetsMustBeServed) {
  const auto is_ready = [](ReadyKeySets rule, int64_t unserved) {
    return WhyNotReady(Readiness::kServing, rule, 3, unserved).empty();
  };
  EXPECT_TRUE(is_ready(ReadyKeySets::kNone, 3));
  EXPECT_TRUE(is_ready(ReadyKeySets::kSome, 2));
  EXPECT_FALSE(is_ready(ReadyKeySets::kSome, 3));
  EXPECT_FALSE(is_ready(ReadyKeySets::kAll, 1));
  EXPECT_EQ(WhyNotReady(Readiness::kServing, ReadyKeySets::kSome, 3, 3),
            "key sets that cannot be served: 3 of 3; qkctl keys list says why");
}

TEST(ReadinessTest, TheRuleIsAFlag) {
  for (const ReadyKeySets rule : {ReadyKeySets::kNone, ReadyKeySets::kSome, ReadyKeySets::kAll}) {
    ReadyKeySets parsed = {};
    std::string error;
    EXPECT_TRUE(ParseFlag(FlagText(rule), &parsed, &error));
    EXPECT_EQ(parsed, rule);
    EXPECT_FALSE(ParseFlag("most", &parsed, &error));
    EXPECT_EQ(error, "expected none, some or all");
  }
}

}  // namespace
}  // namespace qkserve
