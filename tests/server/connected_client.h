#ifndef QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_
#define QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/support/process.h"

namespace qkserve {

// A client of the test's server. It does not retry. When this returns, all connections of the
// client are open.
//
// Before version 1.61 gRPC reads the errno of connect too late. On a busy machine it may count a
// good connection as failed. Calls on it then end with UNAVAILABLE until gRPC tries again.
inline std::unique_ptr<Client> ConnectedClient(const std::string& address, int channels = 1) {
  std::unique_ptr<Client> client =
      Client::Create({.address = address, .channels = channels, .attempts_max = 1}).value();
  // Calls use the channels in turn, so `channels` good calls in a row have used each channel once.
  int in_a_row = 0;
  EXPECT_TRUE(Eventually([&] {
    while (in_a_row < channels && client->GetStatus().ok()) ++in_a_row;
    if (in_a_row == channels) return true;
    in_a_row = 0;
    return false;
  }));
  return client;
}

// Returns the server's status. The test fails if the server gives none.
inline v1::GetStatusResponse StatusOf(Client& client) {
  absl::StatusOr<v1::GetStatusResponse> status = client.GetStatus();
  EXPECT_TRUE(status.ok()) << status.status();
  return status.ok() ? *std::move(status) : v1::GetStatusResponse();
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_
