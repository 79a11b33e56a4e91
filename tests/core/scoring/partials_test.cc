#include "core/scoring/partials.h"

#include <atomic>
#include <cstddef>
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

TEST(PartialsTest, PartsOfABlockShareMemoryUntilItIsRemoved) {
  Partials partials;
  const Partials::Shared shared = partials.Share(7, 2, 100, 200).value();
  EXPECT_EQ(partials.Share(7, 2, 100, 200)->state, shared.state);
  EXPECT_EQ(partials.Share(7, 2, 100, 200)->seldom, shared.seldom);
  EXPECT_NE(partials.Share(8, 2, 100, 200)->state, shared.state);
  Buffer nothing;
  const auto merge = [](std::byte* /*other*/) { ADD_FAILURE() << "nothing was left"; };
  EXPECT_FALSE(partials.HandOver(7, nothing, merge));
  EXPECT_TRUE(partials.HandOver(7, nothing, merge));
  partials.Remove(7);
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
      partials.Remove(0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(last_parts, 1);
}

}  // namespace
}  // namespace qkserve
