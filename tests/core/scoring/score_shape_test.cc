#include "core/scoring/score_shape.h"

#include <set>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

absl::StatusOr<ScoreShape> Make(const Shape& q, const Shape& k) {
  return MakeScoreShape("queries", q, "inline.keys", k);
}

TEST(ScoreShapeTest, ResultHasLeadingDimensionsThenNByM) {
  EXPECT_EQ(Make({3, 5}, {7, 5})->result, Shape({3, 7}));
  EXPECT_EQ(Make({2, 3, 5}, {2, 7, 5})->result, Shape({2, 3, 7}));
  EXPECT_EQ(Make({2, 4, 3, 5}, {2, 4, 7, 5})->result, Shape({2, 4, 3, 7}));
}

TEST(ScoreShapeTest, SizesOfOneBroadcastOnEitherSide) {
  EXPECT_EQ(Make({1, 3, 5}, {6, 7, 5})->result, Shape({6, 3, 7}));
  EXPECT_EQ(Make({6, 3, 5}, {1, 7, 5})->result, Shape({6, 3, 7}));
  EXPECT_EQ(Make({1, 4, 3, 5}, {2, 1, 7, 5})->result, Shape({2, 4, 3, 7}));
  EXPECT_EQ(Make({2, 1, 3, 5}, {1, 4, 7, 5})->result, Shape({2, 4, 3, 7}));
}

TEST(ScoreShapeTest, GroupedHeadsReadTheirKeyHead) {
  const ScoreShape s = Make({2, 6, 3, 5}, {2, 3, 7, 5}).value();
  EXPECT_EQ(s.slices_per_product, 2);
  EXPECT_EQ(s.products, 6);
  for (int64_t product = 0; product < s.products; ++product) {
    EXPECT_EQ(s.QueryMatrix(product * 2), product * 2);
    EXPECT_EQ(s.KeyMatrix(product * 2), product);
  }
}

TEST(ScoreShapeTest, SlicesThatShareKeysAreOneProduct) {
  EXPECT_EQ(Make({6, 3, 5}, {1, 7, 5})->ProductRows(), 18);
  EXPECT_EQ(Make({2, 4, 3, 5}, {1, 1, 7, 5})->ProductRows(), 24);
  EXPECT_EQ(Make({2, 4, 3, 5}, {2, 1, 7, 5})->ProductRows(), 12);
  EXPECT_EQ(Make({2, 4, 3, 5}, {1, 2, 7, 5})->ProductRows(), 6);
  // Broadcast queries do not make a taller matrix, because they are read again for each key matrix.
  EXPECT_EQ(Make({1, 4, 3, 5}, {2, 1, 7, 5})->ProductRows(), 12);
  EXPECT_EQ(Make({1, 3, 5}, {6, 7, 5})->ProductRows(), 3);
}

TEST(ScoreShapeTest, ZeroSizesMakeAnEmptyResult) {
  for (const auto& [q, k] : std::vector<std::pair<Shape, Shape>>{{{0, 5}, {7, 5}},
                                                                 {{3, 5}, {0, 5}},
                                                                 {{0, 3, 5}, {1, 7, 5}},
                                                                 {{0, 3, 5}, {0, 7, 5}},
                                                                 {{2, 0, 3, 5}, {2, 3, 7, 5}}}) {
    const absl::StatusOr<ScoreShape> s = Make(q, k);
    ASSERT_TRUE(s.ok()) << s.status();
    EXPECT_EQ(ElementCount(s->result), 0);
    EXPECT_EQ(s->products, 0);
  }
  EXPECT_EQ(Make({3, 0}, {7, 0})->products, 1);
}

TEST(ScoreShapeTest, NamesTheFieldWhatCameAndWhatWasExpected) {
  const auto message = [](const Shape& q, const Shape& k) {
    const absl::Status status = Make(q, k).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message({5}, {5}), "queries.shape: got rank 1, expected rank 2, 3 or 4");
  EXPECT_EQ(message({3, 5}, {1, 7, 5}),
            "inline.keys.shape: got [1, 7, 5], expected rank 2 to fit queries [3, 5]");
  EXPECT_EQ(message({3, 5}, {7, 6}),
            "inline.keys.shape: got [7, 6], expected d = 5 in the last dimension to fit queries "
            "[3, 5]");
  EXPECT_THAT(message({2, 3, 5}, {3, 7, 5}), HasSubstr("expected 1 or 2 in dimension 0"));
  EXPECT_THAT(message({2, 6, 3, 5}, {2, 4, 7, 5}),
              HasSubstr("expected 1 or a divisor of 6 in dimension 1"));
  EXPECT_THAT(message({2, 2, 3, 5}, {2, 4, 7, 5}), HasSubstr("dimension 1"));
  EXPECT_THAT(message({2, 3, 3, 5}, {2, 0, 7, 5}), HasSubstr("dimension 1"));
}

TEST(ScoreShapeTest, AResultThatCannotBeCountedIsRefused) {
  const int64_t huge = int64_t{1} << 40;
  EXPECT_EQ(Make({huge, 0}, {huge, 0}).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace qkserve
