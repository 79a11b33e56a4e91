#include "core/kernels/blas_kernel.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr CpuFeatures kSse = {.is_x86_64 = true};
constexpr CpuFeatures kAvx2 = {.is_x86_64 = true, .avx = true, .avx2_fma = true};
constexpr CpuFeatures kAvx512 = {.is_x86_64 = true, .avx = true, .avx2_fma = true, .avx512 = true};

std::string Auto(const char* loaded, CpuFeatures cpu, bool from_environment = false) {
  return ChooseBlasKernel({.requested = "auto",
                           .loaded = loaded,
                           .from_environment = from_environment,
                           .cpu = cpu})
      .value();
}

TEST(ChooseBlasKernelTest, AutoReplacesAFallbackByTheBestForTheCpu) {
  EXPECT_EQ(Auto("Prescott", kAvx512), "SkylakeX");
  EXPECT_EQ(Auto("Prescott", kAvx2), "Haswell");
  EXPECT_EQ(Auto("Sandybridge", kAvx2), "Haswell");
  EXPECT_EQ(Auto("Prescott", kSse), "");
  EXPECT_EQ(Auto("Haswell", kAvx512), "SkylakeX");
}

TEST(ChooseBlasKernelTest, AutoKeepsWhatSuitsTheCpu) {
  EXPECT_EQ(Auto("SkylakeX", kAvx512), "");
  EXPECT_EQ(Auto("Zen", kAvx2), "");
  // If the CPU cannot run the kernel, another one replaces it.
  EXPECT_EQ(Auto("Cooperlake", kAvx512), "SkylakeX");
}

TEST(ChooseBlasKernelTest, AutoKeepsAModernKernelFromTheEnvironment) {
  EXPECT_EQ(Auto("Haswell", kAvx512, true), "");
  EXPECT_EQ(Auto("Prescott", kAvx512, true), "SkylakeX");
  EXPECT_EQ(Auto("Excavator", kAvx512, true), "SkylakeX");
}

TEST(ChooseBlasKernelTest, ARequestIsTakenAtItsWord) {
  const auto choose = [](const char* requested) {
    return ChooseBlasKernel({.requested = requested, .loaded = "SkylakeX", .cpu = kAvx512}).value();
  };
  EXPECT_EQ(choose("Haswell"), "Haswell");
  EXPECT_EQ(choose("Prescott"), "Prescott");
}

TEST(ChooseBlasKernelTest, RefusesWhatTheCpuWouldTrapOn) {
  const auto refusal = [](const char* requested, CpuFeatures cpu) {
    const absl::Status status =
        ChooseBlasKernel({.requested = requested, .loaded = "Prescott", .cpu = cpu}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal("SkylakeX", kAvx2), testing::HasSubstr("this CPU lacks"));
  EXPECT_THAT(refusal("cooperlake", kAvx512), testing::HasSubstr("this CPU lacks"));
  EXPECT_THAT(refusal("Zen", kSse), testing::HasSubstr("this CPU lacks"));
  EXPECT_THAT(refusal("Excavator", kAvx512), testing::HasSubstr("expected auto or one of"));
  EXPECT_THAT(refusal("Nope", kAvx512), testing::HasSubstr("got Nope"));
}

}  // namespace
}  // namespace qkserve
