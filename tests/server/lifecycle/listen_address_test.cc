#include "server/lifecycle/listen_address.h"

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(AddressTest, IsANameOrAnAddressAndAPort) {
  const struct {
    const char* address;
    const char* host;
    int port;
  } cases[] = {{"127.0.0.1:50051", "127.0.0.1", 50051},
               {"localhost:0", "localhost", 0},
               {"0.0.0.0:65535", "0.0.0.0", 65535},
               {"[::1]:8080", "::1", 8080},
               {"[::]:0", "::", 0}};
  for (const auto& [address, host, port] : cases) {
    const absl::StatusOr<HostPort> parsed = ParseHostPort({"flag", "nothing"}, address);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  }
}

TEST(AddressTest, AnythingElseIsRefusedWithWhatIsPossible) {
  for (const char* address :
       {"", ":", ":1", ":abc", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:+1",
        "127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:1 ", "127.0.0.1:http",
        "127.0.0.1:99999999999999999999", "::1:0", "::1", "[::1", "[]:1", "[::1:1", "::1]:1"}) {
    const absl::Status status = ParseHostPort({"flag", "nothing"}, address).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()),
                testing::StartsWith("flag: got '" + std::string(address) +
                                    "', expected HOST:PORT with a port from 0 to 65535"));
  }
}

TEST(AddressTest, OnlyAddressesThatNoOtherMachineReachesAreLoopback) {
  const auto check = [](const std::string& address) {
    return CheckIsLoopback({"flag", "nothing"}, address);
  };
  for (const char* address :
       {"127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"}) {
    EXPECT_TRUE(check(address).ok()) << address;
  }
  for (const char* address : {"0.0.0.0:1", "[::]:1", "192.0.2.1:1", "128.0.0.1:1",
                              "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1", "[fe80::1]:1"}) {
    const absl::Status status = check(address);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()),
                testing::StartsWith(std::string("flag: other machines may reach ") + address));
  }
}

TEST(AddressTest, AStarIsToldWhatAllAddressesAre) {
  EXPECT_EQ(
      ParseHostPort({"http_address", "nothing"}, "*:8080").status().message(),
      "http_address: got '*:8080'; all addresses of this machine are 0.0.0.0:8080 or [::]:8080");
}

}  // namespace
}  // namespace qkserve
