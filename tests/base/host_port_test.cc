#include "base/host_port.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Without a default, a port is required. tests/server/lifecycle/listen_address_test.cc has the
// other cases.
TEST(HostPortTest, BracketsAreTakenAway) {
  EXPECT_EQ(ReadHostPort("[::1]:80")->host, "::1");
  EXPECT_EQ(ReadHostPort("[::1]:80")->port, 80);
  EXPECT_FALSE(ReadHostPort("[::1]").has_value());
  EXPECT_FALSE(ReadHostPort("localhost").has_value());
}

TEST(HostPortTest, ADefaultTakesThePlaceOfAPortThatIsMissingAndOfNoOther) {
  EXPECT_EQ(ReadHostPort("localhost", 7)->port, 7);
  EXPECT_EQ(ReadHostPort("[::1]", 7)->host, "::1");
  EXPECT_EQ(ReadHostPort("[::1]", 7)->port, 7);
  EXPECT_EQ(ReadHostPort("localhost:80", 7)->port, 80);
  for (const char* wrong : {"", ":", "localhost:", "localhost:65536", "localhost:x", ":80", "::1",
                            "::1]", "[::1", "[]", "a]:80"}) {
    EXPECT_FALSE(ReadHostPort(wrong, 7).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace qkserve
