#include "tools/qkctl/input/made_key_set.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_server.h"

namespace qkserve {
namespace {

std::atomic<bool> never{false};

class MadeKeySetTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<MadeKeySet>> Create(const std::string& name,
                                                     const KeySetSizes& sizes,
                                                     const std::atomic<bool>* stop = &never) {
    return MadeKeySet::Create(client_.get(), name, RandomContents(sizes, 1, stop), std::nullopt, {},
                              stop);
  }

  FakeServer server_;
  // Without retries each call is one call on the server.
  const std::unique_ptr<Client> client_ =
      Client::Create({.address = server_.address(), .attempts_max = 1}).value();
};

TEST_F(MadeKeySetTest, IsThereAsLongAsTheObject) {
  std::string name;
  {
    const auto made = Create(UniqueKeySetName(), {100, 8, 5});
    ASSERT_TRUE(made.ok()) << made.status();
    name = (*made)->name();
    const auto stored = server_.key_sets().Find(name);
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->keys.size(), 100u * 8 * 4);
    EXPECT_EQ(stored->values.size(), 100u * 5 * 4);
    EXPECT_NE(stored->keys.substr(0, 2000), stored->values);
  }
  EXPECT_FALSE(server_.key_sets().Find(name).has_value());
}

TEST_F(MadeKeySetTest, NeverTakesTheNameOfAnother) {
  const auto first = Create("items", {1, 1, {}});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Create("items", {1, 1, {}}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, AnInterruptEndsTheUploadAndLeavesNothing) {
  std::atomic<bool> stop{true};
  const auto made = Create("items", {100, 8, {}}, &stop);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kCancelled) << made.status();
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, SizesThatNobodyHasAreRefused) {
  const auto made = Create("items", {INT64_MAX, INT64_MAX, {}});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
}

TEST_F(MadeKeySetTest, SaysThatItIsNotThere) {
  const auto made = Create("items", {1, 1, {}});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ((*made)->Remove(MadeKeySet::RemovalEnd()).code(), absl::StatusCode::kNotFound);
}

TEST_F(MadeKeySetTest, IsLeftWhereSomebodyElseHasReplacedIt) {
  const auto made = Create("items", {1, 1, {}});
  ASSERT_TRUE(made.ok()) << made.status();
  const float key = 2;
  const TensorView keys = {DataType::kFloat32, {1, 1}, reinterpret_cast<const std::byte*>(&key)};
  ASSERT_TRUE(client_->PutKeySet("items", keys).ok());
  const absl::Status removed = (*made)->Remove(MadeKeySet::RemovalEnd());
  EXPECT_EQ(removed.code(), absl::StatusCode::kFailedPrecondition) << removed;
  EXPECT_TRUE(absl::StrContains(removed.message(), "somebody else")) << removed;
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

// After a restart, a server has the key sets on its disk again.
TEST_F(MadeKeySetTest, IsRemovedWhenAServerThatWasAwayIsBack) {
  const auto made = Create("items", {1, 1, {}});
  ASSERT_TRUE(made.ok()) << made.status();
  server_.key_sets().BeUnavailable(10);
  EXPECT_TRUE((*made)->Remove(MadeKeySet::RemovalEnd()).ok());
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, IsNotDeletedIfItsVersionIsNotKnown) {
  const auto made = Create("items", {1, 1, {}});
  ASSERT_TRUE(made.ok()) << made.status();
  const float key = 2;
  ASSERT_TRUE(client_->PutKeySet("items", Matrix({&key, 1}, 1, 1)).ok());
  server_.key_sets().BeUnavailable(1);
  EXPECT_EQ((*made)->Remove(MadeKeySet::RemovalEnd()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, AnInterruptEndsTheWaitAndTheErrorSaysHowToRemoveIt) {
  std::atomic<bool> stop{false};
  const auto made = Create("items", {1, 1, {}}, &stop);
  ASSERT_TRUE(made.ok()) << made.status();
  server_.key_sets().BeUnavailable(INT32_MAX);
  // The interrupt comes after the second try, because the wait has begun by then.
  const size_t calls = server_.key_sets().metadata().size();
  std::thread interrupt([&] {
    while (server_.key_sets().metadata().size() < calls + 2) std::this_thread::yield();
    stop = true;
  });
  const absl::Status removed = (*made)->Remove(MadeKeySet::RemovalEnd());
  interrupt.join();
  EXPECT_EQ(removed.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(removed.message(), "later: qkctl keys delete items --server="))
      << removed;
}

TEST_F(MadeKeySetTest, TheRemovalEndsInTimeAndTheErrorSaysHowToRemoveIt) {
  const auto made = Create("items", {1, 1, {}});
  ASSERT_TRUE(made.ok()) << made.status();
  server_.key_sets().BeUnavailable(INT32_MAX);
  const absl::Time now = Clock::Monotonic()->Now();
  EXPECT_LE(MadeKeySet::RemovalEnd(), now + absl::Seconds(6));
  const absl::Status removed = (*made)->Remove(now + absl::Milliseconds(200));
  EXPECT_EQ(removed.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(removed.message(), "later: qkctl keys delete items --server="))
      << removed;
}

TEST(KeySetSizesTest, AreParsedFromAFlag) {
  KeySetSizes sizes;
  std::string error;
  ASSERT_TRUE(ParseFlag("10,20", &sizes, &error));
  EXPECT_EQ(sizes.m, 10);
  EXPECT_EQ(sizes.d, 20);
  EXPECT_FALSE(sizes.dv.has_value());
  ASSERT_TRUE(ParseFlag("10,20,0", &sizes, &error));
  EXPECT_EQ(sizes.dv, 0);
  for (const char* text : {"", "10", "10,", "10,x", "1,2,3,4", "1,-2", "99999999999999999999,1"}) {
    EXPECT_FALSE(ParseFlag(text, &sizes, &error)) << text;
  }
}

}  // namespace
}  // namespace qkserve
