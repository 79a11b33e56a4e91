// main() of tests that compute. It uses the kernel that the server would choose.

#include <cstdio>

#include "core/kernels/blas_kernel.h"
#include "gtest/gtest.h"

// Abseil's library is not instrumented, so tsan does not see how a Status counts its copies. If two
// threads have held a Status, tsan reports the last free of that Status as a race. Nothing else is
// suppressed.
extern "C" const char* __tsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_suppressions() { return "race:absl::*Status::Unref\n"; }

int main(int argc, char** argv) {
  const absl::Status status = qkserve::SelectKernelsOrReexec("auto", argv);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
