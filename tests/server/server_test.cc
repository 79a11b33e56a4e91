#include "server/server.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_descriptor.h"
#include "core/kernels/blas.h"
#include "gmock/gmock.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/version.h"
#include "server/lifecycle/health_check.h"
#include "tests/server/connected_client.h"
#include "tests/server/raw_call.h"
#include "tests/support/random_tensor.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    options_.listen_address = "127.0.0.1:0";
    options_.workers = 2;
    options_.drain_grace = absl::ZeroDuration();
  }

  void Start() {
    server_ = Server::Start(options_).value();
    client_ = Connect();
  }
  std::unique_ptr<Client> Connect(int channels = 1) const {
    return ConnectedClient(server_->address(), channels);
  }
  std::shared_ptr<grpc::Channel> Channel() const { return ChannelTo(server_->address()); }

  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ServerTest, AnswersWithScoresAndAReceipt) {
  Start();
  const std::vector<float> q = {1, 2, 3, 4};
  const std::vector<float> k = {1, 0, 0, 1, 1, 1};
  const absl::StatusOr<ScoreResult> result = client_->Score(
      {DataType::kFloat32, {2, 2}, reinterpret_cast<const std::byte*>(q.data())},
      {DataType::kFloat32, {3, 2}, reinterpret_cast<const std::byte*>(k.data())}, {.scale = 2.0F});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->result.shape, Shape({2, 3}));
  EXPECT_THAT(ToFloats(result->result.View()), testing::ElementsAre(2, 4, 6, 6, 8, 14));
  EXPECT_EQ(result->receipt.kernel, BlasKernelName());
  EXPECT_EQ(result->receipt.batch_requests, 1);
  EXPECT_EQ(result->receipt.batch_rows, 2);
  EXPECT_GE(result->receipt.queued, absl::ZeroDuration());
  EXPECT_GT(result->receipt.computed, absl::ZeroDuration());
}

TEST_F(ServerTest, TakesAndReturnsEveryElementType) {
  Start();
  for (const DataType in : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    for (const DataType out : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
      const Tensor q = RandomTensor(in, {2, 6, 5, 33}, 1);
      const Tensor k = RandomTensor(in, {2, 3, 7, 33}, 2);
      const absl::StatusOr<ScoreResult> result =
          client_->Score(q.View(), k.View(), {.scale = 0.125F, .result_type = out});
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->result.data_type, out);
      EXPECT_EQ(CompareToReference(result->result.View(),
                                   ComputeReference(q.View(), k.View(), 0.125), 33),
                "");
    }
  }
}

TEST_F(ServerTest, ReturnsTheStagesAfterTheScores) {
  Start();
  const std::vector<float> q = {1, 0};
  const std::vector<float> k = {1, 0, 0, 1, 3, 0};
  const std::vector<float> v = {10, 20, 30};
  const auto view = [](const std::vector<float>& values, const Shape& shape) {
    return TensorView{DataType::kFloat32, shape, reinterpret_cast<const std::byte*>(values.data())};
  };
  ScoreOptions options;
  options.key_lengths = {2};
  options.output = Output::kMasked;
  absl::StatusOr<ScoreResult> result = client_->Score(view(q, {1, 2}), view(k, {3, 2}), options);
  ASSERT_TRUE(result.ok()) << result.status();
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(ToFloats(result->result.View()), testing::ElementsAre(1, 0, -inf));

  options.output = Output::kContext;
  options.values = view(v, {3, 1});
  options.log_sum_exp = true;
  result = client_->Score(view(q, {1, 2}), view(k, {3, 2}), options);
  ASSERT_TRUE(result.ok()) << result.status();
  const double e = std::exp(1.0);
  EXPECT_NEAR(ToFloats(result->result.View())[0], (10 * e + 20) / (e + 1), 1e-4);
  ASSERT_TRUE(result->log_sum_exp.has_value());
  EXPECT_EQ(result->log_sum_exp->shape, Shape({1}));
  EXPECT_NEAR(ToFloats(result->log_sum_exp->View())[0], std::log(e + 1), 1e-6);

  ScoreOptions top;
  top.output = Output::kTopK;
  top.top_k = 4;
  result = client_->Score(view(q, {1, 2}), view(k, {3, 2}), top);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ToFloats(result->result.View()), testing::ElementsAre(3, 1, 0, -inf));
  ASSERT_TRUE(result->indices.has_value());
  const auto* indices = reinterpret_cast<const int32_t*>(result->indices->data.data());
  EXPECT_THAT(std::vector<int32_t>(indices, indices + 4), testing::ElementsAre(2, 0, 1, -1));
}

TEST_F(ServerTest, EmptyDimensionsGiveEmptyResults) {
  Start();
  for (const auto& [q_shape, k_shape, expected] : std::vector<std::tuple<Shape, Shape, Shape>>{
           {{0, 3}, {4, 3}, {0, 4}}, {{2, 3}, {0, 3}, {2, 0}}, {{0, 5, 3}, {1, 4, 3}, {0, 5, 4}}}) {
    const Tensor q = EmptyTensor(DataType::kFloat32, q_shape);
    const Tensor k = EmptyTensor(DataType::kFloat32, k_shape);
    const absl::StatusOr<ScoreResult> result = client_->Score(q.View(), k.View());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->result.shape, expected);
    EXPECT_EQ(result->result.data.size_bytes(), 0U);
  }
  const Tensor q = EmptyTensor(DataType::kFloat32, {2, 0});
  const Tensor k = EmptyTensor(DataType::kFloat32, {3, 0});
  EXPECT_THAT(ToFloats(client_->Score(q.View(), k.View())->result.View()),
              testing::ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST_F(ServerTest, BadInputNamesTheField) {
  Start();
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 3}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {4, 5}, 2);
  const absl::Status status = client_->Score(q.View(), k.View()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "inline.keys.shape: got [4, 5], expected d = 3 in the last dimension to fit queries "
            "[2, 3]");
}

TEST_F(ServerTest, JunkOnTheWireIsAnErrorAndTheServerLives) {
  Start();
  std::string response;
  const grpc::Status status =
      RawCall(Channel(), "/qkserve.v1.ScoringService/Score", std::string(1000, '\xff'), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "the bytes are no qkserve.v1.ScoreRequest");
  const grpc::Status upload = RawCall(Channel(), "/qkserve.v1.KeySetService/PutKeySet",
                                      std::string(1000, '\xff'), &response);
  EXPECT_EQ(upload.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(upload.error_message(), "the bytes are no qkserve.v1.PutKeySetRequest");
  EXPECT_EQ(RawCall(Channel(), "/qkserve.v1.ScoringService/Nope", "", &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(client_->GetStatus().ok());
}

// The messages of other services are checked, too, because a server that kept unknown fields might
// need many times the size of the messages.
TEST_F(ServerTest, EveryMethodRefusesUnknownFields) {
  Start();
  const std::string unknown = std::string("\xa2\x1f\x00", 3);  // field 500, no bytes
  std::string response;
  for (const char* const method :
       {"/qkserve.v1.ScoringService/Score", "/qkserve.v1.KeySetService/PutKeySet",
        "/qkserve.v1.KeySetService/AppendKeySet", "/qkserve.v1.KeySetService/GetKeySet",
        "/qkserve.v1.KeySetService/ListKeySets", "/qkserve.v1.KeySetService/DeleteKeySet",
        "/qkserve.v1.StatusService/GetStatus", "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    const grpc::Status status = RawCall(Channel(), method, unknown, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
    EXPECT_EQ(status.error_message(),
              "request: got field number 500, which this server does not know")
        << method;
  }
}

TEST_F(ServerTest, ARequestBeyondTheMessageLimitIsRefused) {
  options_.message_bytes_max = 100000;
  Start();
  const Tensor q = RandomTensor(DataType::kFloat32, {1000, 30}, 1);
  const Tensor k = RandomTensor(DataType::kFloat32, {2, 30}, 2);
  EXPECT_EQ(client_->Score(q.View(), k.View()).status().code(),
            absl::StatusCode::kResourceExhausted);
  const Tensor wide = RandomTensor(DataType::kFloat32, {400, 1}, 1);
  const absl::Status status = client_->Score(wide.View(), wide.View()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("the result would be FLOAT32 [400, 400]"));
}

TEST_F(ServerTest, BytesInFlightAreBoundedAndReturned) {
  options_.in_flight_bytes_max = 1 << 20;
  Start();
  const Tensor big = RandomTensor(DataType::kFloat32, {600, 1}, 1);
  const absl::Status status = client_->Score(big.View(), big.View()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("in_flight_bytes_max = 1048576"));
  const Tensor small = RandomTensor(DataType::kFloat32, {100, 1}, 1);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(client_->Score(small.View(), small.View()).ok());
}

// The second tensor replaces the first one, but the message keeps the memory of both.
TEST_F(ServerTest, ATensorThatComesTwiceIsChargedTwice) {
  options_.in_flight_bytes_max = 1 << 20;
  Start();
  v1::ScoreRequest replaced;
  const Tensor small = RandomTensor(DataType::kFloat32, {100, 1}, 1);
  const std::string request = MakeScoreRequest(small.View(), small.View(), {}).SerializeAsString();
  const auto ask = [&](size_t bytes) {
    replaced.mutable_queries()->mutable_data()->resize(bytes);
    std::string response;
    return RawCall(Channel(), "/qkserve.v1.ScoringService/Score",
                   replaced.SerializeAsString() + request, &response);
  };
  EXPECT_TRUE(ask(500'000).ok());
  const grpc::Status status = ask(1 << 20);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("in_flight_bytes_max"));
}

TEST_F(ServerTest, StatusSaysWhatTheServerIsAndDid) {
  Start();
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 3}, 1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client_->Score(q.View(), q.View()).ok());
  const absl::StatusOr<v1::GetStatusResponse> status = client_->GetStatus();
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->version(), kVersion);
  EXPECT_EQ(status->kernel(), BlasKernelName());
  EXPECT_GT(status->gflops_per_worker(), 0);
  EXPECT_EQ(status->workers(), 2);
  EXPECT_GT(status->uptime_ns(), 0);
  EXPECT_EQ(status->requests_answered(), 3);
  EXPECT_EQ(status->queued_requests(), 0);
  EXPECT_EQ(status->in_flight_bytes_max(), options_.in_flight_bytes_max);
}

TEST_F(ServerTest, HealthFollowsTheServersLife) {
  Start();
  const std::string address = server_->address();
  EXPECT_TRUE(CheckHealth(address, std::nullopt, absl::Seconds(10)).ok());
  EXPECT_TRUE(server_->Drain().ok());
  EXPECT_EQ(CheckHealth(address, std::nullopt, absl::Seconds(10)).code(),
            absl::StatusCode::kUnavailable);
}

// Calls reflection of `version`, v1 or v1alpha.
std::string Reflect(const std::shared_ptr<grpc::Channel>& channel, absl::string_view request,
                    const std::string& version = "v1") {
  std::string response;
  const grpc::Status status =
      RawCall(channel, "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo",
              std::string(request), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

// Tools list the services, and then ask for the description of each.
TEST_F(ServerTest, ReflectionDescribesEveryServiceThatItNames) {
  Start();
  for (const std::string version : {"v1", "v1alpha"}) {
    grpc::reflection::v1::ServerReflectionResponse named;
    // ServerReflectionRequest{list_services: ""}: field 7, no bytes.
    ASSERT_TRUE(
        named.ParseFromString(Reflect(Channel(), absl::string_view("\x3a\x00", 2), version)));
    std::vector<std::string> names;
    for (const auto& service : named.list_services_response().service()) {
      names.push_back(service.name());
      grpc::reflection::v1::ServerReflectionRequest ask;
      ask.set_file_containing_symbol(service.name());
      grpc::reflection::v1::ServerReflectionResponse described;
      ASSERT_TRUE(described.ParseFromString(Reflect(Channel(), ask.SerializeAsString(), version)));
      EXPECT_GT(described.file_descriptor_response().file_descriptor_proto_size(), 0)
          << service.name();
    }
    EXPECT_THAT(names, testing::UnorderedElementsAre(
                           "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                           "grpc.reflection.v1alpha.ServerReflection", "qkserve.v1.KeySetService",
                           "qkserve.v1.ScoringService", "qkserve.v1.StatusService"));
  }
}

TEST_F(ServerTest, ReflectionDescribesServicesAndMessages) {
  Start();
  const auto ask = [this](absl::string_view request) { return Reflect(Channel(), request); };
  // file_containing_symbol, which also returns the imported files.
  const std::string file = ask("\x22\x19qkserve.v1.ScoringService");
  EXPECT_THAT(file, HasSubstr("ScoreResponse"));
  EXPECT_THAT(file, HasSubstr("BFLOAT16"));
  // file_by_filename
  EXPECT_THAT(ask("\x1a\x17qkserve/v1/status.proto"), HasSubstr("GetStatusResponse"));
  EXPECT_THAT(ask("\x22\x04nope"), HasSubstr("this server does not know it"));
  // all_extension_numbers_of_type
  EXPECT_THAT(ask("\x32\x11qkserve.v1.Tensor"), HasSubstr("qkserve.v1.Tensor"));
  EXPECT_THAT(ask("\x32\x04nope"), HasSubstr("this server does not know it"));
  // file_containing_extension
  EXPECT_THAT(ask("\x2a\x06\x0a\x04nope"), HasSubstr("this server does not know it"));
  EXPECT_THAT(ask(""), HasSubstr("message_request: got none"));
}

TEST_F(ServerTest, ASecondServerDoesNotShareThePort) {
  Start();
  options_.listen_address = server_->address();
  EXPECT_EQ(Server::Start(options_).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerTest, ServesOnAUnixSocket) {
  const TemporaryDirectory directory("server_test");
  const std::string path = directory.Path("socket");
  options_.listen_address = "unix:" + path;
  Start();
  EXPECT_EQ(server_->address(), options_.listen_address);
  EXPECT_EQ(server_->port(), 0);
  EXPECT_TRUE(client_->GetStatus().ok());
  // A second server does not take over the socket.
  EXPECT_EQ(Server::Start(options_).status(),
            absl::UnavailableError(absl::StrCat("listen_address: unix:", path,
                                                " is in use by another process; give another one, "
                                                "or unix:PATH")));
  EXPECT_TRUE(client_->GetStatus().ok());
}

TEST_F(ServerTest, APathThatCannotBeASocketSaysWhy) {
  const TemporaryDirectory directory("server_test");
  std::ofstream(directory.Path("file")) << "text";
  for (const auto& [path, why] : {std::pair("file", "a file that is no socket is there"),
                                  {"absent/socket", "No such file or directory"},
                                  {"file/socket", "Not a directory"}}) {
    options_.listen_address = "unix:" + directory.Path(path);
    EXPECT_EQ(Server::Start(options_).status(),
              absl::UnavailableError(absl::StrCat("listen_address: cannot listen on ",
                                                  options_.listen_address, ": ", why,
                                                  "; give another one, or unix:PATH")));
  }
  EXPECT_TRUE(std::filesystem::exists(directory.Path("file")));
}

TEST_F(ServerTest, ASocketThatNobodyListensOnIsReplaced) {
  const TemporaryDirectory directory("server_test");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  directory.Path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  {
    const FileDescriptor left(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  options_.listen_address = "unix:" + directory.Path("socket");
  Start();
  EXPECT_TRUE(client_->GetStatus().ok());
}

TEST_F(ServerTest, CompressedRequestsAreAnswered) {
  Start();
  const auto stub = v1::ScoringService::NewStub(Channel());
  const std::vector<float> zeros(3000);
  const TensorView matrix = Matrix(zeros, 1000, 3);
  const v1::ScoreRequest request = MakeScoreRequest(matrix, matrix, {});
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::ScoreResponse response;
    const grpc::Status status = stub->Score(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.result().shape_size(), 2);
  }
}

// 32 MB that the client compresses to 32 KB.
TEST_F(ServerTest, ACompressedRequestMustNotBecomeTooLarge) {
  const std::vector<float> zeros(4'000'000);
  const TensorView matrix = Matrix(zeros, 4, 1'000'000);
  v1::ScoreRequest request = MakeScoreRequest(matrix, matrix, {});
  const auto ask = [&] {
    Start();
    grpc::ClientContext context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    v1::ScoreResponse response;
    return v1::ScoringService::NewStub(Channel())->Score(&context, request, &response);
  };
  options_.message_bytes_max = 4'000'000;
  grpc::Status status = ask();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "the message, once decompressed, is larger than 4000000 bytes");
  options_.message_bytes_max = kMessageBytesMax;
  options_.in_flight_bytes_max = 4'000'000;
  status = ask();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("in_flight_bytes_max = 4000000"));
}

TEST_F(ServerTest, RefusesOptionsThatMakeNoSense) {
  options_.workers = -1;
  EXPECT_EQ(Server::Start(options_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace qkserve
