#include "server/rpc/grpc_status.h"

#include <string>

#include "base/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

// The bytes that gRPC writes for a message into metadata.
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

}  // namespace
}  // namespace qkserve
