// main() of tests that compute: with the kernel that the server would choose.

#include <cstdio>

#include "core/attention/kernel.h"
#include "gtest/gtest.h"

int main(int argc, char** argv) {
  const absl::Status status = qkserve::EnsureBlasKernel("auto", argv);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
