// The client's token: it is read again when its file changes, and never goes over an open network.

#include "client/token.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/whole_file.h"
#include "gmock/gmock.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Keeps the tokens of all calls.
class Recorder : public v1::StatusService::Service, public v1::KeySetService::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* /*request*/,
                         v1::GetStatusResponse* /*response*/) override {
    return Record(*context);
  }
  grpc::Status PutKeySet(grpc::ServerContext* context,
                         grpc::ServerReader<v1::PutKeySetRequest>* /*reader*/,
                         v1::PutKeySetResponse* /*response*/) override {
    return Record(*context);
  }

  std::multiset<std::string> Take() {
    MutexLock lock(&mutex_);
    return std::exchange(tokens_, {});
  }

 private:
  grpc::Status Record(const grpc::ServerContext& context) {
    MutexLock lock(&mutex_);
    const auto [begin, end] = context.client_metadata().equal_range("authorization");
    for (auto entry = begin; entry != end; ++entry) {
      tokens_.emplace(entry->second.data(), entry->second.size());
    }
    return grpc::Status::OK;
  }

  Mutex mutex_;
  std::multiset<std::string> tokens_ ABSL_GUARDED_BY(mutex_);
};

class TokenTest : public testing::Test {
 protected:
  TokenTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<v1::StatusService::Service*>(&recorder_));
    builder.RegisterService(static_cast<v1::KeySetService::Service*>(&recorder_));
    server_ = builder.BuildAndStart();
    options_.address = absl::StrCat("127.0.0.1:", port);
    options_.token_file = path_;
  }

  void Write(absl::string_view text) const {
    ASSERT_TRUE(WriteFileWhole(path_, {text}, IfIrreplaceable::kFail).ok());
  }
  absl::Status Create() const { return Client::Create(options_).status(); }

  const TemporaryDirectory directory_{"token_test"};
  const std::string path_ = directory_.Path("token");
  Recorder recorder_;
  std::unique_ptr<grpc::Server> server_;
  ClientOptions options_;
};

TEST_F(TokenTest, EveryCallOfEveryChannelSendsIt) {
  Write("  secret\n");
  options_.channels = 2;
  const std::unique_ptr<Client> client = Client::Create(options_).value();
  ASSERT_TRUE(client->GetStatus(absl::Minutes(1)).ok());
  ASSERT_TRUE(client->GetStatus(absl::Minutes(1)).ok());
  EXPECT_THAT(recorder_.Take(), ElementsAre("Bearer secret", "Bearer secret"));
  const float one[] = {1};
  // The server answers without reading, so the call may succeed or fail.
  client->PutKeySet("a", Matrix(one, 1, 1)).status().IgnoreError();
  EXPECT_THAT(recorder_.Take(), ElementsAre("Bearer secret"));
  // A call may have its own token.
  ASSERT_TRUE(client->GetStatus(absl::Minutes(1), {{"authorization", "Bearer other"}}).ok());
  EXPECT_THAT(recorder_.Take(), ElementsAre("Bearer other"));
}

TEST_F(TokenTest, IsReadAgainAfterASecond) {
  Write("old");
  FakeClock clock;
  const std::unique_ptr<TokenFile> token = TokenFile::Open(path_, &clock).value();
  Write("new");
  clock.Advance(absl::Milliseconds(999));
  EXPECT_EQ(token->Token(), "old");
  clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(token->Token(), "new");
  // A file without a token changes nothing.
  for (const char* const bad : {"", "two words"}) {
    Write(bad);
    clock.Advance(absl::Seconds(1));
    EXPECT_EQ(token->Token(), "new");
  }
  ASSERT_TRUE(std::filesystem::remove(path_));
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(token->Token(), "new");
  Write("newest");
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(token->Token(), "newest");
}

TEST_F(TokenTest, ARunningClientSendsTheNewToken) {
  Write("old");
  const std::unique_ptr<Client> client = Client::Create(options_).value();
  ASSERT_TRUE(client->GetStatus(absl::Minutes(1)).ok());
  EXPECT_THAT(recorder_.Take(), ElementsAre("Bearer old"));
  Write("new");
  EXPECT_TRUE(Eventually([&] {
    return client->GetStatus(absl::Minutes(1)).ok() && recorder_.Take().count("Bearer new") == 1;
  }));
}

TEST_F(TokenTest, IsNotSentInPlainTextToOtherMachines) {
  Write("secret");
  for (const char* const other :
       {"qkserve.test", "10.0.0.1:1", "[2001:db8::1]:1", "dns:///localhost:1",
        "127.0.0.1.evil.test", "localhost.evil.test", "ipv4:10.0.0.1:1", "1270.0.0.1"}) {
    options_.address = other;
    EXPECT_THAT(std::string(Create().message()), HasSubstr("token_file requires tls")) << other;
    EXPECT_THAT(std::string(Create().message()), Not(HasSubstr("secret"))) << other;
  }
  for (const char* const local :
       {"127.0.0.1", "127.8.9.1:1", "localhost:1", "[::1]:1", "unix:/tmp/s", "unix-abstract:s"}) {
    options_.address = local;
    EXPECT_TRUE(Create().ok()) << local << ": " << Create();
  }
  options_.http_proxy = "proxy.test:1";
  EXPECT_EQ(Create().code(), absl::StatusCode::kInvalidArgument);
  options_.http_proxy = "";
  options_.address = "qkserve.test";
  options_.allow_plaintext = true;
  EXPECT_TRUE(Create().ok()) << Create();
  options_.allow_plaintext = false;
  options_.tls.emplace();
  EXPECT_TRUE(Create().ok()) << Create();
}

TEST_F(TokenTest, AFileWithoutATokenIsRefused) {
  EXPECT_EQ(Create().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Create().message()), HasSubstr("token_file"));
  for (const std::string& bad :
       {std::string(), std::string(" \n"), std::string("two words"), std::string("a\nb"),
        std::string("\xc3\xbc"), std::string(5000, 'x')}) {
    Write(bad);
    EXPECT_EQ(Create().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(Create().message()), HasSubstr(absl::StrCat("token_file ", path_)));
  }
  options_.token_file = "";
  EXPECT_TRUE(Create().ok());
  const std::unique_ptr<Client> client = Client::Create(options_).value();
  ASSERT_TRUE(client->GetStatus(absl::Minutes(1)).ok());
  EXPECT_THAT(recorder_.Take(), IsEmpty());
}

}  // namespace
}  // namespace qkserve
