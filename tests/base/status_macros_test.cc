#include "base/status_macros.h"

#include <memory>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

absl::Status Both(const absl::Status& first, const absl::Status& second, int* steps) {
  RETURN_IF_ERROR(first);
  ++*steps;
  if (*steps == 1) RETURN_IF_ERROR(second);
  ++*steps;
  return absl::OkStatus();
}

TEST(StatusMacrosTest, TheFirstErrorIsReturnedAtOnce) {
  int steps = 0;
  EXPECT_EQ(Both(absl::DataLossError("a"), absl::InternalError("b"), &steps),
            absl::DataLossError("a"));
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(Both(absl::OkStatus(), absl::InternalError("b"), &steps), absl::InternalError("b"));
  EXPECT_EQ(steps, 1);
  EXPECT_TRUE(Both(absl::OkStatus(), absl::OkStatus(), &steps).ok());
  EXPECT_EQ(steps, 3);
}

absl::StatusOr<int> Sum(absl::StatusOr<std::unique_ptr<int>> a, absl::StatusOr<int> b) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> first, std::move(a));
  int second = 0;
  ASSIGN_OR_RETURN(second, b);
  return *first + second;
}

TEST(StatusMacrosTest, AValueIsMovedToItsTargetAndAnErrorReturned) {
  EXPECT_EQ(*Sum(std::make_unique<int>(1), 2), 3);
  EXPECT_EQ(Sum(absl::NotFoundError("a"), 2).status(), absl::NotFoundError("a"));
  EXPECT_EQ(Sum(std::make_unique<int>(1), absl::NotFoundError("b")).status(),
            absl::NotFoundError("b"));
}

}  // namespace
}  // namespace qkserve
