#ifndef QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_
#define QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace qkserve {

// Which CPU kernels OpenBLAS uses. It picks them when it is loaded, and on a CPU newer than itself
// it silently falls back to SSE3 ("Prescott"), five times slower. OPENBLAS_CORETYPE overrides it,
// but only before it is loaded.

struct CpuFeatures {
  bool is_x86_64 = false;
  bool avx = false;
  bool avx2_fma = false;     // AVX2 and FMA
  bool avx512 = false;       // AVX-512 F, BW, DQ and VL
  bool avx512_bf16 = false;  // those and BF16
};
CpuFeatures DetectCpuFeatures();

// The kernel to ask for, "" to leave the choice to OpenBLAS. Pure.
//
// requested: --kernel, "auto" or an OpenBLAS core name. loaded: what OpenBLAS picked; auto keeps it
// where it uses what the CPU has. from_environment: OPENBLAS_CORETYPE was set by whoever started
// the process; auto then keeps an AVX2 kernel on an AVX-512 CPU too. INVALID_ARGUMENT: no such
// kernel, or the CPU lacks its instructions.
struct KernelQuestion {
  std::string requested;
  std::string loaded;
  bool from_environment = false;
  CpuFeatures cpu;
};
absl::StatusOr<std::string> ChooseBlasKernel(const KernelQuestion& question);

// Makes OpenBLAS use the right kernel (`requested` as above) and one thread a call. Where it was
// loaded with another, replaces the process by itself, once, with OPENBLAS_CORETYPE set; so call it
// first in main, with main's argv, before threads, files or sockets exist.
//
// INVALID_ARGUMENT: the CPU or this OpenBLAS does not have the requested kernel.
// FAILED_PRECONDITION: this build of OpenBLAS may not be called from several threads.
//
// `log` is told where the kernel may be slow because this OpenBLAS has no better one.
absl::Status EnsureBlasKernel(
    absl::string_view requested, char** argv, const LogSink& log = [](const LogEvent&) {});

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_
