#include "core/scoring/partials.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

Buffer BufferOf(int value) {
  Buffer buffer = Buffer::Allocate(sizeof(int)).value();
  *reinterpret_cast<int*>(buffer.data()) = value;
  return buffer;
}

TEST(PartialsTest, PartsOfABlockShareMemoryUntilTheLastHasEnded) {
  Partials partials;
  const std::shared_ptr<Partials::Shared> shared = partials.Share(7, 2, 100, 200).value();
  EXPECT_EQ(partials.Share(7, 2, 100, 200).value(), shared);
  EXPECT_NE(partials.Share(8, 2, 100, 200).value(), shared);
  Buffer nothing;
  const auto merge = [](std::byte* /*other*/) { ADD_FAILURE() << "nothing was left"; };
  EXPECT_FALSE(partials.HandOver(7, nothing, merge));
  EXPECT_TRUE(partials.HandOver(7, nothing, merge));
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(PartialsTest, TheLastPartHasWhatAllFoundWhateverThreadsTheyRunOn) {
  constexpr int kParts = 16;
  Partials partials;
  std::atomic<int> last_parts{0};
  std::vector<std::thread> threads;
  for (int part = 1; part <= kParts; ++part) {
    threads.emplace_back([&partials, &last_parts, part] {
      ASSERT_TRUE(partials.Share(0, kParts, 64, 0).ok());
      Buffer found = BufferOf(part);
      int* const sum = reinterpret_cast<int*>(found.data());
      const bool is_last = partials.HandOver(
          0, found, [sum](std::byte* other) { *sum += *reinterpret_cast<int*>(other); });
      if (!is_last) return;
      ++last_parts;
      EXPECT_EQ(*sum, kParts * (kParts + 1) / 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(last_parts, 1);
}

}  // namespace
}  // namespace qkserve
