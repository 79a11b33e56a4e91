#ifndef QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_
#define QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace qkserve {

// Chooses the CPU code of the process: the kernels of OpenBLAS, and the instruction sets that
// Highway's code (key sets, softmax, 16-bit elements) may use.
//
// OpenBLAS picks its kernels when it is loaded. If the CPU is newer than OpenBLAS, OpenBLAS
// silently falls back to SSE3 kernels ("Prescott"), which are five times slower. OPENBLAS_CORETYPE
// overrides the choice, but only before OpenBLAS is loaded. Highway picks the best instruction set
// at its first call.

struct CpuFeatures {
  bool is_x86_64 = false;
  bool avx = false;
  bool avx2_fma = false;     // AVX2 and FMA
  bool avx512 = false;       // AVX-512 F, BW, DQ and VL
  bool avx512_bf16 = false;  // the above and BF16
};
// Returns the features of this machine's CPU.
CpuFeatures DetectCpuFeatures();

struct KernelChoiceInput {
  std::string requested;  // --kernel: "auto" or OpenBLAS's name of a kernel
  // The kernel that OpenBLAS picked. "auto" keeps a kernel that uses the best instructions of the
  // CPU.
  std::string loaded;
  // True if the process was started with OPENBLAS_CORETYPE. "auto" then also keeps an AVX2 kernel
  // on an AVX-512 CPU.
  bool from_environment = false;
  CpuFeatures cpu;
};
// Returns the kernel to ask OpenBLAS for, or "" to leave the choice to OpenBLAS. A pure function.
// INVALID_ARGUMENT: the requested kernel does not exist, or the CPU lacks its instructions.
absl::StatusOr<std::string> ChooseBlasKernel(const KernelChoiceInput& input);

// Makes OpenBLAS use the kernel that ChooseBlasKernel returns for `requested`, and one thread for
// each call. If OpenBLAS was loaded with another kernel, the process sets OPENBLAS_CORETYPE and
// executes itself again, at most once. Call this with main's argv, before the process has threads,
// files or sockets.
//
// On x86-64, a kernel that is requested by name limits Highway, too: Highway then uses only
// instructions that every CPU for this kernel has. Haswell and Zen allow AVX2; older kernels allow
// SSE4. With "auto", Highway uses the best instruction set of the CPU, whatever kernel OpenBLAS
// has.
//
// INVALID_ARGUMENT: the CPU or this OpenBLAS does not have the requested kernel.
// FAILED_PRECONDITION: this build of OpenBLAS may not be called from several threads.
//
// `log` gets a warning if the kernel may be slow because this OpenBLAS has no better one.
absl::Status SelectKernelsOrReexec(
    absl::string_view requested, char** argv, const LogSink& log = [](const LogEvent&) {});

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLAS_KERNEL_H_
