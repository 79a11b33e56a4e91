#include "base/peer_prefix.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(PeerPrefixTest, IsAnIpv4Address) {
  EXPECT_EQ(PeerPrefix("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(PeerPrefix("::ffff:192.0.2.1"), "192.0.2.1");
}

TEST(PeerPrefixTest, IsTheFirstHalfOfAnIpv6Address) {
  EXPECT_EQ(PeerPrefix("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(PeerPrefix("2001:db8:1:2::"), PeerPrefix("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_NE(PeerPrefix("2001:db8:1:2::1"), PeerPrefix("2001:db8:1:3::1"));
  EXPECT_EQ(PeerPrefix("fe80::1%eth0"), "fe80::/64");
  EXPECT_EQ(PeerPrefix("::1"), "::1");
}

TEST(PeerPrefixTest, OtherTextIsAsItWas) {
  for (const char* const text : {"", "unix", "::1::", "2001:db8", "a%b"}) {
    EXPECT_EQ(PeerPrefix(text), text);
  }
}

}  // namespace
}  // namespace qkserve
