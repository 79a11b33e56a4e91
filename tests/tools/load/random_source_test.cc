#include "tools/load/random_source.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"

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
  // The standard deviation of an element is 0.577, and that of its square is 0.298. The bounds are
  // five standard deviations of the mean.
  EXPECT_NEAR(sum / kCount, 0, 5 * 0.577 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 5 * 0.298 / std::sqrt(kCount));
}

TEST(RandomSourceTest, IsWhatFillRandomMakes) {
  std::string bytes(4 * 100, '\0');
  ASSERT_TRUE(RandomSource({100, 1}, 5, &never).read(0, absl::MakeSpan(bytes)).ok());
  std::vector<float> elements(40);
  FillRandom(5, 60, absl::MakeSpan(elements));
  const std::vector<float> all = Floats(bytes);
  EXPECT_EQ(elements, std::vector<float>(all.begin() + 60, all.end()));
}

TEST(RandomSourceTest, EndsWhenItIsStopped) {
  const std::atomic<bool> stop{true};
  std::string bytes(4, '\0');
  EXPECT_EQ(RandomSource({1, 1}, 5, &stop).read(0, absl::MakeSpan(bytes)).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace qkserve
