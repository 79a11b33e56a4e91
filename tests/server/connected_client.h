#ifndef QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_
#define QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_

#include <memory>
#include <string>

#include "client/client.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace qkserve {

// A client of a server of this test whose connections are all up.
//
// Before version 1.61 gRPC reads the errno of connect too late. On a busy machine it now and then
// takes a connection that was made for a failed one, and calls on it end with UNAVAILABLE until it
// tries again.
inline std::unique_ptr<Client> ConnectedClient(const std::string& address, int channels = 1) {
  std::unique_ptr<Client> client =
      Client::Create({.address = address, .channels = channels}).value();
  // Calls go round over the channels: so many in a row have used each.
  int in_a_row = 0;
  EXPECT_TRUE(Eventually([&] {
    while (in_a_row < channels && client->GetStatus().ok()) ++in_a_row;
    if (in_a_row == channels) return true;
    in_a_row = 0;
    return false;
  }));
  return client;
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_CONNECTED_CLIENT_H_
