#include "server/rpc/inflate.h"

#include <zlib.h>

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"
#include "tests/support/wire_bytes.h"

namespace {

thread_local bool nothrow_new_fails = false;

}  // namespace

// Replaces the operator of the standard library, because zlib gets its memory here.
void* operator new(size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  if (nothrow_new_fails) return nullptr;
  try {
    return ::operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

namespace qkserve {
namespace {

std::string Text(const grpc::ByteBuffer& buffer) {
  grpc::Slice whole;
  EXPECT_TRUE(buffer.DumpToSingleSlice(&whole).ok());
  return std::string(whole.begin(), whole.end());
}

class InflateTest : public testing::Test {
 protected:
  absl::Status Inflate(grpc::ByteBuffer& message) {
    return InflateIfCompressed({.bytes_max = bytes_max_, .budget = &budget_}, &message, &charges_);
  }

  int64_t bytes_max_ = 100 * kMiB;
  ByteBudget budget_{"in_flight_bytes_max", 200 * kMiB};
  std::vector<ByteBudget::Charge> charges_;
};

TEST_F(InflateTest, WithoutMemoryItIsNotTakenForBytesOfAnotherFormat) {
  grpc::ByteBuffer message = CompressedWireBytes(Deflated("bytes", kGzip));
  nothrow_new_fails = true;
  EXPECT_THROW(static_cast<void>(Inflate(message)), std::bad_alloc);
  nothrow_new_fails = false;
}

TEST_F(InflateTest, HasALimitBelowThatOfMessages) {
  EXPECT_EQ(InflatedBytesMax(1000), 1000);
  bytes_max_ = InflatedBytesMax(kMessageBytesMax);
  grpc::ByteBuffer message =
      CompressedWireBytes(Deflated(std::string(bytes_max_ + 1, '\0'), kGzip));
  const absl::Status status = Inflate(message);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), testing::EndsWith("; send it without compression"));
}

TEST_F(InflateTest, GivesBackWhatWasCompressed) {
  std::string bytes;
  for (int i = 0; bytes.size() < 300'000; ++i) bytes += std::to_string(i * 7919);
  for (const int format : {kGzip, kDeflate}) {
    for (const size_t slice : {1UL, 100UL, 10'000'000UL}) {
      grpc::ByteBuffer message = CompressedWireBytes(Deflated(bytes, format), slice);
      const absl::Status status = Inflate(message);
      ASSERT_TRUE(status.ok()) << status;
      EXPECT_EQ(Text(message), bytes);
      EXPECT_GE(budget_.bytes(), static_cast<int64_t>(bytes.size()));
      charges_.clear();
      EXPECT_EQ(budget_.bytes(), 0);
    }
  }
}

TEST_F(InflateTest, LeavesOtherMessagesAlone) {
  const grpc::Slice slice(std::string("plain"));
  grpc::ByteBuffer message(&slice, 1);
  EXPECT_TRUE(Inflate(message).ok());
  EXPECT_EQ(Text(message), "plain");
  EXPECT_EQ(budget_.bytes(), 0);
}

// 64 MiB, compressed to 64 KiB.
TEST_F(InflateTest, TakesNoMoreMemoryThanTheLimitHoweverMuchWouldCome) {
  const std::string bomb = Deflated(std::string(64 * kMiB, '\0'), kGzip);
  ASSERT_LT(bomb.size(), 70'000U);
  bytes_max_ = kMiB;
  grpc::ByteBuffer message = CompressedWireBytes(bomb);
  const absl::Status status = Inflate(message);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the message, once decompressed, is larger than 1048576 bytes");
  EXPECT_LE(budget_.bytes(), kMiB + 1);
  EXPECT_FALSE(message.Valid());
}

TEST_F(InflateTest, AMessageOfExactlyTheLimitPasses) {
  for (const int64_t bytes : {int64_t{1}, 16 * kKiB, 100 * kKiB}) {
    bytes_max_ = bytes;
    grpc::ByteBuffer exact = CompressedWireBytes(Deflated(std::string(bytes, 'x'), kGzip));
    EXPECT_TRUE(Inflate(exact).ok());
    EXPECT_EQ(exact.Length(), static_cast<size_t>(bytes));
    grpc::ByteBuffer larger = CompressedWireBytes(Deflated(std::string(bytes + 1, 'x'), kGzip));
    EXPECT_EQ(Inflate(larger).code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST_F(InflateTest, TheBudgetRefusesUnlessTheCallMustNotFail) {
  const std::string bytes = Deflated(std::string(64 * kMiB, '\0'), kGzip);
  ByteBudget small("in_flight_bytes_max", kMiB);
  grpc::ByteBuffer refused = CompressedWireBytes(bytes);
  EXPECT_THAT(std::string(InflateIfCompressed({.bytes_max = bytes_max_, .budget = &small}, &refused,
                                              &charges_)
                              .message()),
              testing::HasSubstr("in_flight_bytes_max"));
  grpc::ByteBuffer admitted = CompressedWireBytes(bytes);
  const InflateLimits limits = {.bytes_max = bytes_max_, .budget = &small, .charges_anyway = true};
  EXPECT_TRUE(InflateIfCompressed(limits, &admitted, &charges_).ok());
  EXPECT_GE(small.bytes(), 64 * kMiB);
  charges_.clear();
}

TEST_F(InflateTest, OtherBytesAreRefused) {
  const std::string good = Deflated(std::string(100'000, 'x'), kGzip);
  std::string wrong_sum = good;
  wrong_sum[good.size() - 5] ^= 1;
  for (const std::string& bytes :
       {std::string("no gzip"), good.substr(0, good.size() - 1), good + "x", wrong_sum}) {
    grpc::ByteBuffer message = CompressedWireBytes(bytes);
    const absl::Status status = Inflate(message);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_EQ(status.message(), "the bytes are no compressed message");
  }
}

}  // namespace
}  // namespace qkserve
