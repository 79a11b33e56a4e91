#include "server/observe/trace_context.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr char kValid[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceparentTest, TakesWhatTheRecommendationShows) {
  EXPECT_TRUE(IsTraceparent(kValid));
  EXPECT_TRUE(IsTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
  EXPECT_EQ(TraceId(kValid), "0af7651916cd43dd8448eb211c80319c");
}

TEST(TraceparentTest, OnlyLaterVersionsMayBeLonger) {
  EXPECT_FALSE(IsTraceparent(absl::StrCat(kValid, "-more")));
  std::string later = kValid;
  later[1] = '1';
  EXPECT_TRUE(IsTraceparent(later));
  EXPECT_TRUE(IsTraceparent(later + "-what-comes"));
  EXPECT_FALSE(IsTraceparent(later + ".what-comes"));
  EXPECT_FALSE(IsTraceparent(later + "-\n"));
  EXPECT_FALSE(IsTraceparent(later + "-" + std::string(300, 'a')));
}

TEST(TraceparentTest, RefusesWhatIsNotValid) {
  const auto with = [](size_t at, const std::string& text) {
    std::string value = kValid;
    value.replace(at, text.size(), text);
    return value;
  };
  EXPECT_FALSE(IsTraceparent(""));
  EXPECT_FALSE(IsTraceparent(std::string(kValid).substr(1)));
  EXPECT_FALSE(IsTraceparent(absl::StrCat(kValid, "0")));
  EXPECT_FALSE(IsTraceparent(with(0, "ff")));
  EXPECT_FALSE(IsTraceparent(with(0, "0x")));
  EXPECT_FALSE(IsTraceparent(with(3, std::string(32, '0'))));
  EXPECT_FALSE(IsTraceparent(with(36, std::string(16, '0'))));
  EXPECT_FALSE(IsTraceparent(with(3, "0AF7")));
  EXPECT_FALSE(IsTraceparent(with(53, "0g")));
  for (const size_t dash : {2, 35, 52}) EXPECT_FALSE(IsTraceparent(with(dash, "_")));
}

TEST(RequestIdTest, IsShortAndVisible) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId(std::string(128, '~')));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId(std::string(129, 'a')));
  EXPECT_FALSE(IsRequestId("a b"));
  EXPECT_FALSE(IsRequestId("a\n"));
}

}  // namespace
}  // namespace qkserve
