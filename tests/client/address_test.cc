// Addresses of servers that the library and qkctl accept.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

TEST(ServerTargetTest, TheDefaultPortIsAdded) {
  const struct {
    const char* address;
    const char* target;
  } cases[] = {{"127.0.0.1", "127.0.0.1:50051"},
               {"scores.example", "scores.example:50051"},
               {"[::1]", "[::1]:50051"},
               {"dns:scores", "dns:scores:50051"},
               {"dns:///scores", "dns:///scores:50051"},
               {"dns://10.0.0.1/[::1]", "dns://10.0.0.1/[::1]:50051"}};
  for (const auto& [address, target] : cases) EXPECT_EQ(ServerTarget(address).value(), target);
}

TEST(ServerTargetTest, TargetsThatAreCompleteStayAsTheyAre) {
  for (const char* address :
       {"127.0.0.1:1", "scores.example:65535", "[::1]:443", "dns:///scores:443",
        "dns://10.0.0.1:53/scores:443", "unix:/run/qkserve.sock", "unix:///run/qkserve.sock",
        "unix-abstract:name", "ipv4:127.0.0.1:1,127.0.0.1:2", "ipv6:[::1]:1", "xds:///scores"}) {
    EXPECT_EQ(ServerTarget(address).value(), address);
  }
}

// gRPC would take a port modulo 65536, and an empty port as 443.
TEST(ServerTargetTest, WhatIsNoAddressIsRefusedWithWhatIsPossible) {
  for (const char* address : {"",
                              ":",
                              ":50051",
                              "127.0.0.1:",
                              "127.0.0.1:0",
                              "127.0.0.1:65536",
                              "127.0.0.1:+1",
                              "127.0.0.1:http",
                              "::1",
                              "::1:50051",
                              "[::1",
                              "[::1]:",
                              "[::1]50051",
                              "[]",
                              "a b:1",
                              "127.0.0.1:50051/",
                              "user@scores:1",
                              "a:1,b:2",
                              "dns:",
                              "dns://",
                              "dns:///",
                              "dns:///scores:65536",
                              "127.0.0.1\n"}) {
    const absl::Status status = ServerTarget(address).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_TRUE(absl::StartsWith(status.message(),
                                 absl::StrCat("got '", address, "', expected HOST or HOST:PORT")))
        << status;
  }
}

TEST(ServerTargetTest, TheSchemeOfAWebAddressIsNamedAsTheMistake) {
  for (const char* scheme : {"http", "https", "grpc", "grpcs", "tcp"}) {
    const std::string address = absl::StrCat(scheme, "://127.0.0.1:50051");
    EXPECT_EQ(ServerTarget(address).status(),
              absl::InvalidArgumentError(absl::StrCat(
                  "got '", address, "'; leave out '", scheme,
                  "://': an address is HOST:PORT, and TLS is an option of its own (tls)")));
  }
}

TEST(ServerTargetTest, ErrorsOfAClientBeginWithTheOption) {
  EXPECT_TRUE(absl::StartsWith(Client::Create({.address = "[::1"}).status().message(),
                               "address: got '[::1', expected HOST"));
}

}  // namespace
}  // namespace qkserve
