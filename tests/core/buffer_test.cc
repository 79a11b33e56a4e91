#include "core/buffer.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(BufferTest, AllocatesAligned) {
  for (const size_t size : {1, 63, 64, 65, 100000}) {
    const absl::StatusOr<Buffer> buffer = Buffer::Allocate(size);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(buffer->size_bytes(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % Buffer::kAlignment, 0U);
  }
}

TEST(BufferTest, NothingIsNoMemory) {
  EXPECT_EQ(Buffer::Allocate(0)->data(), nullptr);
  EXPECT_EQ(Buffer().size_bytes(), 0U);
}

TEST(BufferTest, AnImpossibleSizeIsAnErrorNotACrash) {
  for (const size_t size : {std::numeric_limits<size_t>::max(), size_t{1} << 60}) {
    EXPECT_EQ(Buffer::Allocate(size).status().code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(BufferTest, DeletesOnceWhateverIsMoved) {
  int deleted = 0;
  std::byte memory[4];
  {
    Buffer first(memory, sizeof(memory), [&deleted](std::byte*) { ++deleted; });
    Buffer second = std::move(first);
    EXPECT_EQ(second.data(), memory);
    EXPECT_EQ(first.size_bytes(), 0U);  // NOLINT(bugprone-use-after-move): that is the question
    Buffer third;
    third = std::move(second);
    EXPECT_EQ(deleted, 0);
  }
  EXPECT_EQ(deleted, 1);
}

TEST(BufferTest, MemoryOnDemandIsZeroAndCanBeWritten) {
  constexpr size_t kBytes = 100'000;
  Buffer buffer = Buffer::AllocateOnDemand(kBytes).value();
  ASSERT_EQ(buffer.size_bytes(), kBytes);
  EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + kBytes,
                          [](std::byte byte) { return byte == std::byte{0}; }));
  buffer.data()[kBytes - 1] = std::byte{1};
  EXPECT_EQ(buffer.data()[kBytes - 1], std::byte{1});
}

TEST(BufferTest, MemoryOnDemandOfNoBytesIsEmptyAndTooMuchIsAnError) {
  EXPECT_EQ(Buffer::AllocateOnDemand(0).value().size_bytes(), 0U);
  EXPECT_EQ(Buffer::AllocateOnDemand(size_t{1} << 62).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace qkserve
