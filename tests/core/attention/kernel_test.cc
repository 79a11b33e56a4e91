#include "core/attention/kernel.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr CpuFeatures kSse = {};
constexpr CpuFeatures kAvx2 = {.avx2_fma = true, .avx512 = false};
constexpr CpuFeatures kAvx512 = {.avx2_fma = true, .avx512 = true};

TEST(ChooseBlasKernelTest, AutoIsTheBestForTheCpu) {
  const auto choose = [](CpuFeatures cpu) {
    return ChooseBlasKernel({.requested = "auto", .loaded = "Prescott", .cpu = cpu}).value();
  };
  EXPECT_EQ(choose(kAvx512), "SkylakeX");
  EXPECT_EQ(choose(kAvx2), "Haswell");
  EXPECT_EQ(choose(kSse), "");
}

TEST(ChooseBlasKernelTest, AutoKeepsAModernKernelFromTheEnvironment) {
  const auto choose = [](const char* loaded) {
    return ChooseBlasKernel(
               {.requested = "auto", .loaded = loaded, .from_environment = true, .cpu = kAvx512})
        .value();
  };
  EXPECT_EQ(choose("Haswell"), "");
  EXPECT_EQ(choose("Zen"), "");
  EXPECT_EQ(choose("Prescott"), "SkylakeX");
}

TEST(ChooseBlasKernelTest, ARequestIsTakenAtItsWord) {
  EXPECT_EQ(
      ChooseBlasKernel({.requested = "Haswell", .loaded = "SkylakeX", .cpu = kAvx512}).value(),
      "Haswell");
  EXPECT_EQ(
      ChooseBlasKernel({.requested = "Prescott", .loaded = "SkylakeX", .cpu = kAvx512}).value(),
      "Prescott");
}

TEST(ChooseBlasKernelTest, RefusesWhatTheCpuWouldTrapOn) {
  const auto refusal = [](const char* requested, CpuFeatures cpu) {
    return ChooseBlasKernel({.requested = requested, .loaded = "Prescott", .cpu = cpu}).status();
  };
  EXPECT_EQ(refusal("SkylakeX", kAvx2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal("cooperlake", kAvx2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal("Zen", kSse).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace qkserve
