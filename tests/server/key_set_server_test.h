#ifndef QKSERVE_TESTS_SERVER_KEY_SET_SERVER_TEST_H_
#define QKSERVE_TESTS_SERVER_KEY_SET_SERVER_TEST_H_

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "server/server.h"
#include "tests/server/connected_client.h"
#include "tests/server/raw_call.h"
#include "tests/support/process.h"
#include "tests/support/random_tensor.h"

// The common part of tests that use key sets on a server in the test's process.

namespace qkserve {

// True for a status with this code whose message has `text`.
MATCHER_P2(FailsWith, code, text, "") {
  *result_listener << arg.ToString();
  return arg.code() == code && absl::StrContains(std::string(arg.message()), text);
}

inline std::string Bytes(const Tensor& tensor) {
  return std::string(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size_bytes());
}

inline std::string Bytes(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? Bytes(*tensor) : "";
}

class KeySetServerTest : public testing::Test {
 protected:
  KeySetServerTest() {
    options_.listen_address = "127.0.0.1:0";
    options_.workers = 2;
    options_.drain_grace = absl::ZeroDuration();
  }

  void Start(const Clock* clock = Clock::Monotonic()) {
    client_ = nullptr;
    server_ = nullptr;  // ends before the next server, because a directory has one writer
    server_ = Server::Start(options_, clock).value();
    client_ = Connect();
  }
  std::unique_ptr<Client> Connect(int channels = 1) const {
    return ConnectedClient(server_->address(), channels);
  }
  std::unique_ptr<v1::KeySetService::Stub> KeySets() const {
    return v1::KeySetService::NewStub(ChannelTo(server_->address()));
  }

  static Tensor Floats(const Shape& shape, uint64_t seed) {
    return RandomTensor(DataType::kFloat32, shape, seed);
  }

  // Puts a set of float32 keys. If `dv` is given, the set has values, too.
  KeySetInfo Put(const std::string& name, const Shape& keys, uint64_t seed,
                 std::optional<int64_t> dv = std::nullopt) const {
    PutKeySetOptions options;
    Tensor values;
    if (dv.has_value()) {
      Shape shape = keys;
      shape.back() = *dv;
      values = Floats(shape, seed + 1);
      options.values = values.View();
    }
    const absl::StatusOr<KeySetInfo> info =
        client_->PutKeySet(name, Floats(keys, seed).View(), options);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.value_or(KeySetInfo());
  }

  // Returns the scores of one query, always the same, as bytes.
  std::string ScoresOf(const std::string& name, int64_t d) const {
    const absl::StatusOr<ScoreResult> result =
        client_->Score(Floats({1, d}, 99).View(), KeySetReference{name});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? Bytes(result->result) : "";
  }

  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SERVER_KEY_SET_SERVER_TEST_H_
