// Identities and permissions, tested with every service of a real server.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/whole_file.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/v1/key_set.grpc.pb.h"
#include "qkserve/v1/scoring.grpc.pb.h"
#include "qkserve/v1/status.grpc.pb.h"
#include "server/access/access_control.h"
#include "server/access/token_file.h"
#include "server/observe/process_log.h"
#include "server/server.h"
#include "tests/server/raw_call.h"
#include "tests/support/http_peer.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_authority.h"

namespace qkserve {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// The token of an identity. The tests' token file has the tokens of only some identities.
std::string TokenOf(absl::string_view identity) { return absl::StrCat("token-of-", identity); }

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    options_.listen_address = "127.0.0.1:0";
    options_.http_address = "127.0.0.1:0";
    options_.workers = 2;
    options_.drain_grace = absl::ZeroDuration();
    options_.file_check_interval = absl::Milliseconds(5);
    options_.log_requests = LoggedRequests::kErrors;
    options_.log = [this](const LogEvent& event) {
      MutexLock lock(&mutex_);
      absl::StrAppend(&log_, FormatLogLine(LogFormat::kText, absl::UnixEpoch(), event), "\n");
    };
    options_.token_file = directory_.Path("tokens");
    options_.access_file = directory_.Path("access");
    std::string tokens;
    for (const char* const identity : {"admin", "nobody", "reader", "scorer", "inline", "writer"}) {
      absl::StrAppend(&tokens, TokenFileLine(identity, TokenOf(identity)).value(), "\n");
    }
    Write("tokens", tokens);
    Write("access",
          "admin  write *\nadmin score *\nadmin score_inline\n"
          "reader read items-*\nscorer score items-*\nwriter write items-*\n"
          "inline score_inline\n");
  }
  // The server must end before the log's sink.
  ~AccessTest() override { server_ = nullptr; }

  void Write(absl::string_view name, absl::string_view text) const {
    ASSERT_TRUE(WriteFileWhole(directory_.Path(name), {text}, IfIrreplaceable::kFail).ok());
  }

  void Start() {
    server_ = Server::Start(options_).value();
    channel_ = ChannelTo(server_->address());
    key_sets_ = v1::KeySetService::NewStub(channel_);
    scoring_ = v1::ScoringService::NewStub(channel_);
  }

  std::string log() {
    MutexLock lock(&mutex_);
    return log_;
  }

  // One call. `header` is the value of its metadata `authorization`, or "" if it has none.
  struct Call {
    explicit Call(const std::string& header) {
      if (!header.empty()) context.AddMetadata("authorization", header);
    }
    grpc::ClientContext context;
  };
  static std::string As(absl::string_view identity) {
    return absl::StrCat("Bearer ", TokenOf(identity));
  }

  static v1::Tensor OneByTwo() {
    v1::Tensor tensor;
    tensor.set_data_type(v1::FLOAT32);
    tensor.add_shape(1);
    tensor.add_shape(2);
    tensor.set_data(std::string(8, '\0'));
    return tensor;
  }
  grpc::Status Score(const std::string& header, const std::string& key_set) const {
    Call call(header);
    v1::ScoreRequest request;
    *request.mutable_queries() = OneByTwo();
    if (key_set.empty()) {
      *request.mutable_inline_()->mutable_keys() = OneByTwo();
    } else {
      request.mutable_key_set()->set_name(key_set);
    }
    v1::ScoreResponse response;
    return scoring_->Score(&call.context, request, &response);
  }
  grpc::Status Get(const std::string& header, const std::string& name,
                   int64_t* version = nullptr) const {
    Call call(header);
    v1::GetKeySetRequest request;
    request.set_name(name);
    v1::GetKeySetResponse response;
    const grpc::Status status = key_sets_->GetKeySet(&call.context, request, &response);
    if (version != nullptr) *version = response.key_set().version();
    return status;
  }
  grpc::Status List(const std::string& header, std::vector<std::string>* names,
                    int32_t page_size = 100) const {
    names->clear();
    v1::ListKeySetsRequest request;
    request.set_page_size(page_size);
    while (true) {
      Call call(header);
      v1::ListKeySetsResponse response;
      const grpc::Status status = key_sets_->ListKeySets(&call.context, request, &response);
      for (const v1::KeySet& key_set : response.key_sets()) names->push_back(key_set.name());
      if (!status.ok() || response.next_page_token().empty()) return status;
      request.set_page_token(response.next_page_token());
    }
  }

  template <class Request>
  static Request Header(const std::string& name) {
    Request request;
    request.mutable_header()->set_name(name);
    request.mutable_header()->mutable_keys()->set_data_type(v1::FLOAT32);
    request.mutable_header()->mutable_keys()->add_shape(1);
    request.mutable_header()->mutable_keys()->add_shape(2);
    return request;
  }
  template <class Request>
  static Request Chunk() {
    Request request;
    request.mutable_chunk()->set_keys(std::string(8, '\0'));
    return request;
  }
  grpc::Status Put(const std::string& header, const std::string& name) const {
    Call call(header);
    v1::PutKeySetResponse response;
    const auto writer = key_sets_->PutKeySet(&call.context, &response);
    if (writer->Write(Header<v1::PutKeySetRequest>(name))) {
      writer->Write(Chunk<v1::PutKeySetRequest>());
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Append(const std::string& header, const std::string& name, int64_t version) const {
    Call call(header);
    v1::AppendKeySetResponse response;
    auto request = Header<v1::AppendKeySetRequest>(name);
    request.mutable_header()->set_expected_version(version);
    const auto writer = key_sets_->AppendKeySet(&call.context, &response);
    if (writer->Write(request)) writer->Write(Chunk<v1::AppendKeySetRequest>());
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Delete(const std::string& header, const std::string& name) const {
    Call call(header);
    v1::DeleteKeySetRequest request;
    request.set_name(name);
    v1::DeleteKeySetResponse response;
    return key_sets_->DeleteKeySet(&call.context, request, &response);
  }
  grpc::Status Status(const std::string& header) const {
    Call call(header);
    v1::GetStatusResponse response;
    return v1::StatusService::NewStub(channel_)->GetStatus(&call.context, {}, &response);
  }
  // Sends one message to any method, and reads until the end of the call.
  grpc::Status Raw(const std::string& header, const std::string& method,
                   const google::protobuf::Message& request) const {
    Call call(header);
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request.SerializeAsString());
    const auto stream = stub.PrepareCall(&call.context, method, &queue);
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    stream->StartCall(nullptr);
    wait();
    grpc::ByteBuffer message(&slice, 1);
    stream->WriteLast(message, grpc::WriteOptions(), nullptr);
    wait();
    do {
      stream->Read(&message, nullptr);
    } while (wait());
    grpc::Status status;
    stream->Finish(&status, nullptr);
    wait();
    return status;
  }
  grpc::Status Reflect(const std::string& header) const {
    grpc::reflection::v1::ServerReflectionRequest request;
    request.set_list_services("");
    return Raw(header, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", request);
  }
  grpc::Status Unknown(const std::string& header) const {
    return Raw(header, "/qkserve.v1.Other/Method", v1::GetStatusRequest());
  }
  grpc::Status Health(const std::string& header) const {
    return Raw(header, "/grpc.health.v1.Health/Check", grpc::health::v1::HealthCheckRequest());
  }

  // The codes that a caller gets from all methods, with the key set "items-1".
  std::vector<StatusCode> CodesOf(const std::string& header) const {
    int64_t version = 0;
    EXPECT_TRUE(Put(As("admin"), "items-1").ok());
    EXPECT_TRUE(Get(As("admin"), "items-1", &version).ok());
    std::vector<StatusCode> codes;
    for (const grpc::Status& status :
         {Score(header, ""), Score(header, "items-1"), Get(header, "items-1"),
          Append(header, "items-1", version), Put(header, "items-1"), Delete(header, "items-1"),
          Status(header), Reflect(header), Unknown(header), Health(header)}) {
      codes.push_back(status.error_code());
    }
    return codes;
  }

  const TemporaryDirectory directory_{"access_test"};
  ServerOptions options_;
  Mutex mutex_;
  std::string log_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::KeySetService::Stub> key_sets_;
  std::unique_ptr<v1::ScoringService::Stub> scoring_;
};

TEST_F(AccessTest, EveryCallerMayDoWhatItsLinesSay) {
  Start();
  constexpr StatusCode kOk = StatusCode::OK;
  constexpr StatusCode kUnknown = StatusCode::UNIMPLEMENTED;
  constexpr StatusCode kStranger = StatusCode::UNAUTHENTICATED;
  constexpr StatusCode kDenied = StatusCode::PERMISSION_DENIED;
  constexpr StatusCode kHidden = StatusCode::NOT_FOUND;
  // The codes are in the order of CodesOf: score inline, score on a key set, get, append, put,
  // delete, status, reflection, unknown method, health.
  for (const std::string& stranger :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer wrong"),
        As("stranger"), TokenOf("admin"), absl::StrCat("Basic ", TokenOf("admin"))}) {
    EXPECT_THAT(CodesOf(stranger),
                ElementsAre(kStranger, kStranger, kStranger, kStranger, kStranger, kStranger,
                            kStranger, kStranger, kStranger, kOk))
        << stranger;
  }
  EXPECT_THAT(CodesOf(As("nobody")), ElementsAre(kDenied, kHidden, kHidden, kDenied, kDenied,
                                                 kHidden, kOk, kOk, kUnknown, kOk));
  EXPECT_THAT(CodesOf(As("inline")), ElementsAre(kOk, kHidden, kHidden, kDenied, kDenied, kHidden,
                                                 kOk, kOk, kUnknown, kOk));
  EXPECT_THAT(CodesOf(As("reader")), ElementsAre(kDenied, kDenied, kOk, kDenied, kDenied, kDenied,
                                                 kOk, kOk, kUnknown, kOk));
  EXPECT_THAT(CodesOf(As("scorer")),
              ElementsAre(kDenied, kOk, kOk, kDenied, kDenied, kDenied, kOk, kOk, kUnknown, kOk));
  EXPECT_THAT(CodesOf(As("writer")),
              ElementsAre(kDenied, kDenied, kOk, kOk, kOk, kOk, kOk, kOk, kUnknown, kOk));
  EXPECT_THAT(CodesOf(absl::StrCat("bEARER ", TokenOf("admin"))),
              ElementsAre(kOk, kOk, kOk, kOk, kOk, kOk, kOk, kOk, kUnknown, kOk));
}

TEST_F(AccessTest, AHiddenKeySetAnswersLikeOneThatDoesNotExist) {
  Start();
  // Code, text and trailing metadata of all calls that could reveal a set. They must be the same
  // with and without the set.
  const auto answers = [this] {
    std::string all;
    for (const grpc::Status& status :
         {Score(As("nobody"), "secret"), Get(As("nobody"), "secret"),
          Append(As("nobody"), "secret", 1), Put(As("nobody"), "secret"),
          Delete(As("nobody"), "secret")}) {
      absl::StrAppend(&all, status.error_code(), " ", status.error_message(), " ",
                      status.error_details(), "\n");
    }
    // A request for a version that the set does not have must get the same answer.
    Call versioned(As("nobody"));
    v1::ScoreRequest score;
    *score.mutable_queries() = OneByTwo();
    score.mutable_key_set()->set_name("secret");
    score.mutable_key_set()->set_version(1);
    v1::ScoreResponse scored;
    absl::StrAppend(&all, scoring_->Score(&versioned.context, score, &scored).error_message(),
                    "\n");
    Call call(As("nobody"));
    v1::GetKeySetRequest request;
    request.set_name("secret");
    v1::GetKeySetResponse response;
    EXPECT_FALSE(key_sets_->GetKeySet(&call.context, request, &response).ok());
    for (const auto& [name, value] : call.context.GetServerTrailingMetadata()) {
      absl::StrAppend(&all, std::string(name.data(), name.size()), "=",
                      std::string(value.data(), value.size()), "\n");
    }
    return all;
  };
  ASSERT_TRUE(Put(As("admin"), "secret").ok());
  const std::string hidden = answers();
  ASSERT_TRUE(Delete(As("admin"), "secret").ok());
  EXPECT_EQ(hidden, answers());
  EXPECT_THAT(hidden, HasSubstr("no key set has the name 'secret'"));
}

TEST_F(AccessTest, ListsOnlyWhatTheCallerMayRead) {
  Write("access", "admin write *\nreader read ab* b c*\nreader score abc zz\nanyone read x\n");
  Start();
  for (const char* const name : {"a", "ab", "abc", "ac", "b", "ba", "c", "cc", "x", "y"}) {
    ASSERT_TRUE(Put(As("admin"), name).ok());
  }
  std::vector<std::string> names;
  for (const int32_t page_size : {1, 2, 3, 100}) {
    EXPECT_TRUE(List(As("reader"), &names, page_size).ok());
    EXPECT_THAT(names, ElementsAre("ab", "abc", "b", "c", "cc", "x")) << page_size;
  }
  EXPECT_TRUE(List(As("admin"), &names).ok());
  EXPECT_EQ(names.size(), 10U);
  EXPECT_TRUE(List(As("nobody"), &names).ok());
  EXPECT_THAT(names, ElementsAre("x"));
  EXPECT_TRUE(List("", &names).ok());
  EXPECT_THAT(names, ElementsAre("x"));
  // Permissions of anyone need no token, but a wrong token is never treated like none.
  EXPECT_TRUE(Get("", "x").ok());
  EXPECT_EQ(Get("", "y").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("Bearer wrong", "x").error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(AccessTest, WithoutAnAccessFileEveryIdentityMayDoEverything) {
  options_.access_file = "";
  Start();
  EXPECT_TRUE(Put(As("nobody"), "items-1").ok());
  EXPECT_TRUE(Score(As("reader"), "items-1").ok());
  EXPECT_EQ(Get("", "items-1").error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(AccessTest, WithoutATokenFileMetadataMeansNothing) {
  options_.token_file = "";
  Write("access", "anyone read items-*\nadmin write *\n");
  Start();
  EXPECT_EQ(Get(As("admin"), "items-1").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Put(As("admin"), "items-1").error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Status("Basic abc").ok());
}

TEST_F(AccessTest, NewContentsHoldForTheNextCall) {
  Start();
  ASSERT_TRUE(Put(As("admin"), "items-1").ok());
  EXPECT_EQ(Get(As("nobody"), "items-1").error_code(), StatusCode::NOT_FOUND);
  Write("access", "nobody read *\nadmin write *\n");
  EXPECT_TRUE(Eventually([&] { return Get(As("nobody"), "items-1").ok(); }));
  // The token is removed from the file.
  Write("tokens", TokenFileLine("admin", TokenOf("admin")).value());
  EXPECT_TRUE(Eventually(
      [&] { return Get(As("nobody"), "items-1").error_code() == StatusCode::UNAUTHENTICATED; }));
  EXPECT_TRUE(Get(As("admin"), "items-1").ok());
}

TEST_F(AccessTest, AFileWithABadLineChangesNothing) {
  Start();
  ASSERT_TRUE(Put(As("admin"), "items-1").ok());
  Write("access", "admin write *\nreader reed items-*\n");
  Write("tokens", absl::StrCat("admin ", TokenOf("admin"), "\n"));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(log(), "line 2: permission: got 'reed'") &&
           absl::StrContains(log(), "line 1: expected an identity and sha256:");
  })) << log();
  EXPECT_TRUE(Get(As("reader"), "items-1").ok());
  EXPECT_TRUE(Score(As("scorer"), "items-1").ok());
  EXPECT_THAT(log(), Not(HasSubstr(TokenOf("admin"))));
}

TEST(AccessControlTest, ItLetsNobodyInBeforeItHasEachFile) {
  const grpc::CallbackServerContext nobody;
  AccessControl access({.token_file = true, .access_file = true});
  EXPECT_TRUE(absl::IsUnavailable(access.Authenticate(nobody).status()));
  ASSERT_TRUE(access.SetTokenFile("").ok());
  EXPECT_TRUE(absl::IsUnavailable(access.Authenticate(nobody).status()));
  ASSERT_TRUE(access.SetAccessFile("anyone read *").ok());
  EXPECT_TRUE(access.Authenticate(nobody).ok());
  AccessControl rules({.access_file = true});
  EXPECT_TRUE(absl::IsUnavailable(rules.Authenticate(nobody).status()));
  AccessControl tokens({.token_file = true});
  EXPECT_TRUE(absl::IsUnavailable(tokens.Authenticate(nobody).status()));
  ASSERT_TRUE(tokens.SetTokenFile("").ok());
  EXPECT_TRUE(absl::IsUnauthenticated(tokens.Authenticate(nobody).status()));
}

TEST_F(AccessTest, AServerDoesNotStartWithABadFile) {
  Write("access", "admin everything\n");
  const absl::Status status = Server::Start(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("access_file"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 1: permission: got 'everything'"));
}

TEST_F(AccessTest, NoCallFailsWhileFilesChange) {
  Start();
  ASSERT_TRUE(Put(As("admin"), "items-1").ok());
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      while (!stop) {
        const bool ok = Score(As("scorer"), "items-1").ok() && Get(As("reader"), "items-1").ok();
        ++(ok ? calls : failures);
      }
    });
  }
  const std::string tokens = ReadFile(directory_.Path("tokens"));
  int applied = 0;
  for (int round = 0; round < 10; ++round) {
    // Each round gives `nobody` another permission, which shows when the server uses the file.
    const std::string probe = absl::StrCat("round-", round);
    Write("tokens", absl::StrCat(tokens, "# ", round, "\n"));
    Write("access", absl::StrCat("admin write *\nscorer score items-*\nreader read items-*\n",
                                 "nobody write ", probe, "\n"));
    if (Eventually([&] { return Put(As("nobody"), probe).ok(); })) ++applied;
  }
  EXPECT_TRUE(Eventually([&] { return calls > 0; }));
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(applied, 10);
  EXPECT_EQ(failures, 0);
}

TEST_F(AccessTest, AnUploadIsNotCommittedIfItsPermissionIsTakenAway) {
  Start();
  int64_t before = 0;
  ASSERT_TRUE(Put(As("admin"), "items-1").ok());
  ASSERT_TRUE(Get(As("admin"), "items-1", &before).ok());
  Call call(As("writer"));
  v1::PutKeySetResponse response;
  const auto writer = key_sets_->PutKeySet(&call.context, &response);
  ASSERT_TRUE(writer->Write(Header<v1::PutKeySetRequest>("items-1")));
  ASSERT_TRUE(writer->Write(Chunk<v1::PutKeySetRequest>()));
  Write("access", "admin write *\n");
  ASSERT_TRUE(Eventually(
      [&] { return Get(As("writer"), "items-1").error_code() == StatusCode::NOT_FOUND; }));
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  int64_t after = 0;
  ASSERT_TRUE(Get(As("admin"), "items-1", &after).ok());
  EXPECT_EQ(after, before);
}

// The server does not wait for the header, so that the upload's place is free for others at once.
TEST_F(AccessTest, AnUploadOfACallerWhoMayWriteNothingIsRefusedBeforeItsHeader) {
  Start();
  Call call(As("reader"));
  v1::PutKeySetResponse response;
  const auto writer = key_sets_->PutKeySet(&call.context, &response);
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "the caller may write no key set");
}

TEST_F(AccessTest, AnUploadIsRefusedBeforeItsChunksAreRead) {
  Write("access", "reader read *\nreader write users-*\n");
  Start();
  // The server answers although the client neither writes a chunk nor ends its stream.
  for (const std::string& header : {As("reader"), std::string()}) {
    Call call(header);
    v1::PutKeySetResponse response;
    const auto writer = key_sets_->PutKeySet(&call.context, &response);
    writer->Write(Header<v1::PutKeySetRequest>("items-1"));
    const grpc::Status status = writer->Finish();
    EXPECT_EQ(status.error_code(),
              header.empty() ? StatusCode::UNAUTHENTICATED : StatusCode::PERMISSION_DENIED);
  }
}

TEST_F(AccessTest, ACertificateIsAnIdentityUnlessTheCallHasAToken) {
  const TestAuthority authority;
  const Identity identity = authority.Issue("DNS:qkserve.test,IP:127.0.0.1");
  Write("cert.pem", identity.certificate);
  Write("key.pem", identity.key);
  Write("ca.pem", authority.certificate());
  options_.tls_cert_file = directory_.Path("cert.pem");
  options_.tls_key_file = directory_.Path("key.pem");
  options_.tls_client_ca_file = directory_.Path("ca.pem");
  Write("access",
        "admin write *\nspiffe://example.org/a read a\nb.test read b\nqkserve%20test read c\n");
  server_ = Server::Start(options_).value();

  const auto connect = [&](const std::string& names, absl::string_view token) {
    const Identity client = authority.Issue(names);
    Write("client.pem", client.certificate);
    Write("client_key.pem", client.key);
    ClientOptions options = {.address = server_->address()};
    options.tls = TlsOptions{.ca_file = directory_.Path("ca.pem"),
                             .cert_file = directory_.Path("client.pem"),
                             .key_file = directory_.Path("client_key.pem")};
    if (!token.empty()) {
      Write("token", token);
      options.token_file = directory_.Path("token");
    }
    return Client::Create(options).value();
  };
  const float one[] = {1};
  const std::unique_ptr<Client> admin = connect("DNS:b.test", TokenOf("admin"));
  for (const char* const name : {"a", "b", "c", "d"}) {
    const absl::Status put = admin->PutKeySet(name, Matrix(one, 1, 1)).status();
    ASSERT_TRUE(put.ok()) << put;
  }
  // Returns the names of the key sets that a caller sees, or the caller's error.
  const auto seen = [&](const std::string& names, absl::string_view token = "") {
    const absl::StatusOr<std::vector<KeySetInfo>> listed = connect(names, token)->ListKeySets();
    if (!listed.ok()) return absl::StatusCodeToString(listed.status().code());
    std::string all;
    for (const KeySetInfo& key_set : *listed) all += key_set.name;
    return all;
  };
  EXPECT_EQ(seen("URI:spiffe://example.org/a,DNS:b.test"), "a");
  EXPECT_EQ(seen("DNS:b.test,DNS:admin"), "b");
  EXPECT_EQ(seen("IP:127.0.0.1"), "c");
  EXPECT_EQ(seen("DNS:stranger.test"), "");
  EXPECT_EQ(seen("URI:spiffe://example.org/a,URI:spiffe://example.org/b"), "UNAUTHENTICATED");
  EXPECT_EQ(seen("DNS:b.test", TokenOf("admin")), "abcd");
  EXPECT_EQ(seen("DNS:b.test", "wrong"), "UNAUTHENTICATED");
}

TEST_F(AccessTest, LogAndMetricsTellWhoWasRefused) {
  Start();
  ASSERT_TRUE(Put(As("admin"), "items-1").ok());
  EXPECT_FALSE(Score(As("reader"), "items-1").ok());
  EXPECT_FALSE(Score(As("nobody"), "items-1").ok());
  EXPECT_FALSE(Score("", "items-1").ok());
  EXPECT_FALSE(Status("Bearer secret-and-wrong").ok());
  EXPECT_FALSE(Reflect("Bearer secret-and-wrong").ok());
  const std::string metrics = AskHttp(server_->http_address(), "GET", "/metrics").body;
  for (const char* const line :
       {"qkserve_unauthenticated_total{reason=\"none\"} 1",
        "qkserve_unauthenticated_total{reason=\"token\"} 2",
        "qkserve_refused_requests_total{reason=\"unauthenticated\"} 2",
        "qkserve_refused_requests_total{reason=\"permission\"} 1",
        "qkserve_refused_requests_total{reason=\"hidden\"} 1",
        "qkserve_requests_total{method=\"GetStatus\",code=\"UNAUTHENTICATED\"} 1",
        "qkserve_file_reloads_total{file=\"token_file\",outcome=\"applied\"} 1",
        "qkserve_file_reloads_total{file=\"access_file\",outcome=\"applied\"} 1"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  EXPECT_THAT(log(), testing::ContainsRegex("key set put .*identity=admin"));
  EXPECT_THAT(log(), testing::ContainsRegex("code=PERMISSION_DENIED .*identity=reader"));
  EXPECT_THAT(log(), testing::ContainsRegex("code=NOT_FOUND .*identity=nobody"));
  EXPECT_THAT(log(), HasSubstr("code=UNAUTHENTICATED"));
  EXPECT_THAT(log(), Not(HasSubstr("token-of")));
  EXPECT_THAT(log(), Not(HasSubstr("secret-and-wrong")));
}

}  // namespace
}  // namespace qkserve
