// HTTP proxies: the client uses the one in its options and ignores those of the environment.

#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/support/fake_server.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

// A proxy for one connection: it reads the head of the request and closes.
class OneConnectProxy {
 public:
  OneConnectProxy()
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address_(BindToLoopback(socket_)) {
    EXPECT_EQ(listen(socket_, 8), 0);
    thread_ = std::thread([this] {
      const int peer = accept(socket_, nullptr, nullptr);
      char bytes[1024];
      while (!absl::StrContains(head_, "\r\n\r\n")) {
        const ssize_t count = read(peer, bytes, sizeof(bytes));
        if (count <= 0) break;
        head_.append(bytes, static_cast<size_t>(count));
      }
      close(peer);
      close(socket_);
    });
  }
  OneConnectProxy(const OneConnectProxy&) = delete;
  OneConnectProxy& operator=(const OneConnectProxy&) = delete;
  ~OneConnectProxy() {
    if (thread_.joinable()) thread_.join();
  }

  const std::string& address() const { return address_; }

  // Waits for the connection and returns the head of its request.
  std::string Head() {
    thread_.join();
    return head_;
  }

 private:
  const int socket_;
  const std::string address_;
  std::string head_;
  std::thread thread_;
};

TEST(HttpProxyTest, VariablesOfTheEnvironmentSetNone) {
  const FakeServer server;
  const ClosedPort closed;
  const TemporaryDirectory directory("http_proxy_test");
  for (const char* const name : {"http_proxy", "https_proxy", "grpc_proxy"}) {
    Process list({QKCTL_PROGRAM, "keys", "list", absl::StrCat("--server=", server.address())},
                 directory.Path("out"), directory.Path("err"),
                 {absl::StrCat(name, "=http://", closed.address()), "no_proxy=", "no_grpc_proxy="});
    EXPECT_EQ(list.Wait(), 0) << name << ReadFile(directory.Path("err"));
  }
}

TEST(HttpProxyTest, TheOneOfTheOptionIsAskedToConnectToTheAddress) {
  OneConnectProxy proxy;
  const auto client =
      Client::Create({.address = "10.1.2.3:50051", .http_proxy = proxy.address()}).value();
  EXPECT_EQ(client->GetKeySet("items", kPatience).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StartsWith(proxy.Head(), "CONNECT 10.1.2.3:50051 HTTP/1"));
}

TEST(HttpProxyTest, ErrorsNameItWithoutItsPassword) {
  const ClosedPort closed;
  const float key = 1.0F;
  const TensorView keys = Matrix({&key, 1}, 1, 1);
  for (const char* const before : {"", "http://", "user:secret@", "http://user:secret@"}) {
    const auto client = Client::Create({.address = "10.1.2.3:50051",
                                        .http_proxy = absl::StrCat(before, closed.address())})
                            .value();
    for (const absl::Status& status :
         {client->GetKeySet("items", kPatience).status(), client->GetStatus(kPatience).status(),
          client->DeleteKeySet("items", kPatience),
          client->PutKeySet("items", keys, {.timeout = kPatience}).status(),
          client->AppendKeySet("items", 1, keys, {.timeout = kPatience}).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
      EXPECT_TRUE(absl::StrContains(
          status.message(), absl::StrCat(" (through the HTTP proxy ", closed.address(), ")")))
          << status;
      EXPECT_FALSE(absl::StrContains(status.message(), "secret")) << status;
    }
  }
}

TEST(HttpProxyTest, WhatIsNoAddressIsRefused) {
  for (const char* const wrong : {"proxy", "http://", "https://proxy:80", ":80", "proxy:0",
                                  "proxy:99999", "proxy:80/path", "pro xy:80", "proxy:80\n"}) {
    const absl::Status status = Client::Create({.http_proxy = wrong}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_TRUE(absl::StartsWith(status.message(), "http_proxy must be HOST:PORT")) << status;
  }
}

TEST(HttpProxyTest, AWrongOneIsNamedWithoutItsPassword) {
  for (const char* const before : {"", "http://", "https://"}) {
    for (const char* const user : {"user:secret@", "user:se/cret@", "user:secret@secret@"}) {
      const absl::Status status =
          Client::Create({.http_proxy = absl::StrCat(before, user, "proxy")}).status();
      EXPECT_TRUE(absl::EndsWith(status.message(), "; was '...@proxy'")) << status;
      EXPECT_FALSE(absl::StrContains(status.message(), "cret")) << status;
    }
  }
}

}  // namespace
}  // namespace qkserve
