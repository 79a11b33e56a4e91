#include "server/rpc/inflate.h"

#include <zlib.h>

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpc/byte_buffer.h"
#include "grpc/compression.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"

namespace {

thread_local bool nothrow_new_fails = false;

}  // namespace

// In place of the standard library's: zlib gets its memory here.
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

constexpr int kGzip = 15 + 16;
constexpr int kDeflate = 15;

std::string Deflated(const std::string& bytes, int window_bits) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A message as gRPC hands it over, in slices of `slice` bytes at most. gRPC's C++ API makes no
// compressed ones.
grpc::ByteBuffer Compressed(absl::string_view bytes, size_t slice = 8192) {
  std::vector<grpc_slice> slices;
  for (size_t at = 0; at < bytes.size(); at += slice) {
    slices.push_back(
        grpc_slice_from_copied_buffer(bytes.data() + at, std::min(slice, bytes.size() - at)));
  }
  grpc_byte_buffer* const raw =
      grpc_raw_compressed_byte_buffer_create(slices.data(), slices.size(), GRPC_COMPRESS_GZIP);
  for (const grpc_slice& part : slices) grpc_slice_unref(part);
  grpc::ByteBuffer buffer;
  static_assert(sizeof(buffer) == sizeof(raw));
  std::memcpy(static_cast<void*>(&buffer), &raw, sizeof(raw));
  return buffer;
}

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
  grpc::ByteBuffer message = Compressed(Deflated("bytes", kGzip));
  nothrow_new_fails = true;
  EXPECT_THROW(static_cast<void>(Inflate(message)), std::bad_alloc);
  nothrow_new_fails = false;
}

TEST_F(InflateTest, HasALimitBelowThatOfMessages) {
  EXPECT_EQ(InflatedBytesMax(1000), 1000);
  bytes_max_ = InflatedBytesMax(kMessageBytesMax);
  grpc::ByteBuffer message = Compressed(Deflated(std::string(bytes_max_ + 1, '\0'), kGzip));
  const absl::Status status = Inflate(message);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), testing::EndsWith("; send it without compression"));
}

TEST_F(InflateTest, GivesBackWhatWasCompressed) {
  std::string bytes;
  for (int i = 0; bytes.size() < 300'000; ++i) bytes += std::to_string(i * 7919);
  for (const int format : {kGzip, kDeflate}) {
    for (const size_t slice : {1UL, 100UL, 10'000'000UL}) {
      grpc::ByteBuffer message = Compressed(Deflated(bytes, format), slice);
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

// 64 MiB in 64 KiB.
TEST_F(InflateTest, TakesNoMoreMemoryThanTheLimitHoweverMuchWouldCome) {
  const std::string bomb = Deflated(std::string(64 * kMiB, '\0'), kGzip);
  ASSERT_LT(bomb.size(), 70'000U);
  bytes_max_ = kMiB;
  grpc::ByteBuffer message = Compressed(bomb);
  const absl::Status status = Inflate(message);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the message, once decompressed, is larger than 1048576 bytes");
  EXPECT_LE(budget_.bytes(), kMiB + 1);
  EXPECT_FALSE(message.Valid());
}

TEST_F(InflateTest, AMessageOfExactlyTheLimitPasses) {
  for (const int64_t bytes : {int64_t{1}, 16 * kKiB, 100 * kKiB}) {
    bytes_max_ = bytes;
    grpc::ByteBuffer exact = Compressed(Deflated(std::string(bytes, 'x'), kGzip));
    EXPECT_TRUE(Inflate(exact).ok());
    EXPECT_EQ(exact.Length(), static_cast<size_t>(bytes));
    grpc::ByteBuffer larger = Compressed(Deflated(std::string(bytes + 1, 'x'), kGzip));
    EXPECT_EQ(Inflate(larger).code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST_F(InflateTest, TheBudgetRefusesUnlessTheCallMustNotFail) {
  const std::string bytes = Deflated(std::string(64 * kMiB, '\0'), kGzip);
  ByteBudget small("in_flight_bytes_max", kMiB);
  grpc::ByteBuffer refused = Compressed(bytes);
  EXPECT_THAT(std::string(InflateIfCompressed({.bytes_max = bytes_max_, .budget = &small}, &refused,
                                              &charges_)
                              .message()),
              testing::HasSubstr("in_flight_bytes_max"));
  grpc::ByteBuffer admitted = Compressed(bytes);
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
    grpc::ByteBuffer message = Compressed(bytes);
    const absl::Status status = Inflate(message);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_EQ(status.message(), "the bytes are no compressed message");
  }
}

}  // namespace
}  // namespace qkserve
