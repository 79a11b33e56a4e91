#include "server/rpc/grpc_status.h"

#include <string>

#include "base/limit_error.h"
#include "base/utf8.h"
#include "gmock/gmock.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// The number of bytes that gRPC writes into metadata for a message.
size_t EncodedBytes(absl::string_view text) {
  size_t bytes = 0;
  for (const char c : text) bytes += c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
  return bytes;
}

std::string Repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(GrpcStatusTest, AMessageThatFitsStaysAsItIs) {
  const std::string plain(kClientTextBytesMax, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError(plain)).error_message(), plain);
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError("é %")).error_message(), "é %");
}

TEST(GrpcStatusTest, ALongMessageIsCutBetweenCharactersSoThatMetadataHoldsIt) {
  for (const char* text : {"x", "%", "é", "aé", "€", "a€", "𝄞", "ab𝄞", "\x80", "\n"}) {
    const std::string message =
        ToGrpcStatus(absl::NotFoundError(Repeated(text, 100'000))).error_message();
    EXPECT_LE(EncodedBytes(message), kClientTextBytesMax) << text;
    EXPECT_GT(EncodedBytes(message), kClientTextBytesMax - 16) << text;
    EXPECT_THAT(message, testing::EndsWith("..."));
    EXPECT_EQ(ValidUtf8(message), message) << text;
  }
}

TEST(GrpcStatusTest, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(ToGrpcStatus(absl::DataLossError("/a\xFF/b")).error_message(), "/a\uFFFD/b");
}

// Returns the metadata that tells a gRPC client when it may come again, or "" if there is none.
std::string PushBack(const absl::Status& status) {
  grpc::ServerContext context;
  ToGrpcStatus(status, context);
  const auto metadata = grpc::testing::ServerContextTestSpouse(&context).GetTrailingMetadata();
  const auto found = metadata.find("grpc-retry-pushback-ms");
  return found == metadata.end() ? "" : found->second;
}

TEST(GrpcStatusTest, ARefusalSaysWhenARetryMayHelpOrThatItCannot) {
  const absl::Status refusal = LimitError("queue_time_max", "full");
  EXPECT_EQ(PushBack(WithRetryAfter(refusal, absl::Milliseconds(70))), "70");
  EXPECT_EQ(PushBack(refusal), "-1");
  EXPECT_EQ(PushBack(absl::UnavailableError("draining")), "");
  EXPECT_EQ(PushBack(absl::OkStatus()), "");
}

}  // namespace
}  // namespace qkserve
