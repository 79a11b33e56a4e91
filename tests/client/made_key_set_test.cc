#include "client/qkctl/made_key_set.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server.h"

namespace qkserve {
namespace {

std::atomic<bool> never{false};

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> elements(bytes.size() / sizeof(float));
  std::memcpy(elements.data(), bytes.data(), bytes.size());
  return elements;
}

TEST(RandomSourceTest, DoesNotDependOnHowItIsCut) {
  const TensorSource source = RandomSource({1000, 3}, 7, &never);
  std::string whole(12'000, '\0'), pieces;
  ASSERT_TRUE(source.read(0, absl::MakeSpan(whole)).ok());
  for (int64_t offset = 0; offset < 12'000; offset += 1200) {
    std::string piece(1200, '\0');
    ASSERT_TRUE(source.read(offset, absl::MakeSpan(piece)).ok());
    pieces += piece;
  }
  EXPECT_EQ(whole, pieces);

  std::string other(12'000, '\0');
  ASSERT_TRUE(RandomSource({1000, 3}, 8, &never).read(0, absl::MakeSpan(other)).ok());
  EXPECT_NE(whole, other);
}

TEST(RandomSourceTest, IsUniformFromMinusOneToOne) {
  constexpr int64_t kCount = 100'000;
  std::string bytes(4 * kCount, '\0');
  ASSERT_TRUE(RandomSource({kCount, 1}, 1, &never).read(0, absl::MakeSpan(bytes)).ok());
  double sum = 0, squares = 0;
  for (const float x : Floats(bytes)) {
    ASSERT_GE(x, -1);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  // Five standard deviations: 0.577 and 0.298 of one element.
  EXPECT_NEAR(sum / kCount, 0, 5 * 0.577 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 5 * 0.298 / std::sqrt(kCount));
}

class MadeKeySetTest : public testing::Test {
 protected:
  FakeServer server_;
  const std::unique_ptr<Client> client_ = Client::Create({.address = server_.address()}).value();
};

TEST_F(MadeKeySetTest, IsThereAsLongAsTheObject) {
  std::string name;
  {
    const auto made = MadeKeySet::Create(client_.get(), "", {100, 8, 5}, 1, &never);
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
  const auto first = MadeKeySet::Create(client_.get(), "items", {1, 1, {}}, 1, &never);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(MadeKeySet::Create(client_.get(), "items", {1, 1, {}}, 1, &never).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, AnInterruptEndsTheUploadAndLeavesNothing) {
  std::atomic<bool> stop{true};
  const auto made = MadeKeySet::Create(client_.get(), "items", {100, 8, {}}, 1, &stop);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kCancelled) << made.status();
  EXPECT_FALSE(server_.key_sets().Find("items").has_value());
}

TEST_F(MadeKeySetTest, SizesThatNobodyHasAreRefused) {
  const auto made =
      MadeKeySet::Create(client_.get(), "items", {INT64_MAX, INT64_MAX, {}}, 1, &never);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
}

TEST_F(MadeKeySetTest, IsRemovedAsWellWhereSomebodyElseDidIt) {
  const auto made = MadeKeySet::Create(client_.get(), "items", {1, 1, {}}, 1, &never);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(client_->DeleteKeySet("items").ok());
  EXPECT_TRUE((*made)->Remove().ok());
}

TEST(MakeKeySetFlagTest, ReadsSizes) {
  MakeKeySetFlag flag;
  std::string error;
  ASSERT_TRUE(AbslParseFlag("10,20", &flag, &error));
  EXPECT_EQ(flag.m, 10);
  EXPECT_EQ(flag.d, 20);
  EXPECT_FALSE(flag.dv.has_value());
  ASSERT_TRUE(AbslParseFlag("10,20,0", &flag, &error));
  EXPECT_EQ(flag.dv, 0);
  EXPECT_EQ(AbslUnparseFlag(flag), "10,20,0");
  for (const char* text : {"", "10", "10,", "10,x", "1,2,3,4", "1,-2", "99999999999999999999,1"}) {
    EXPECT_FALSE(AbslParseFlag(text, &flag, &error)) << text;
  }
}

}  // namespace
}  // namespace qkserve
