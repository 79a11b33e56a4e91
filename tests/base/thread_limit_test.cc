#include "base/thread_limit.h"

#include <atomic>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

TEST(ThreadLimitTest, AsManyThreadsAsAreNeededAreThereAtTheSameTime) {
  std::atomic<int> running{0};
  int most = 0;
  const absl::Status status = CheckThreads(20, [&](std::function<void()> body) {
    std::thread thread([&running, body = std::move(body)] {
      body();
      --running;
    });
    most = ++running > most ? running.load() : most;
    return thread;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(most, 20);
  EXPECT_EQ(running, 0);
}

TEST(ThreadLimitTest, SaysHowManyThereWereWhereTheSystemGivesNoMore) {
  int left = 5;
  const absl::Status status = CheckThreads(20, [&](std::function<void()> body) {
    if (left-- == 0) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    return std::thread(std::move(body));
  });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(status.message(), testing::HasSubstr("threads: got 5 of the 20 "));
}

}  // namespace
}  // namespace qkserve
