#include "core/kernels/blas_kernel.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "core/kernels/blas.h"
#include "hwy/targets.h"

namespace qkserve {
namespace {

constexpr char kCoreTypeVariable[] = "OPENBLAS_CORETYPE";
// Names the kernel for which the process has executed itself. The new process reads this variable
// and does not execute itself a second time.
constexpr char kAttemptVariable[] = "QKSERVE_KERNEL_ATTEMPT";

// OpenBLAS's names for its x86-64 kernels, and what a CPU needs for them. OpenBLAS does not check
// the CPU. A kernel traps on a CPU that lacks its instructions.
struct KernelRule {
  absl::string_view name;
  bool CpuFeatures::*needs;  // null: every x86-64 CPU has them
  bool is_modern = false;    // "auto" keeps it if OpenBLAS picked it
};
constexpr KernelRule kKernels[] = {
    {"Prescott", nullptr},
    {"Core2", nullptr},
    {"Penryn", nullptr},
    {"Nehalem", nullptr},
    {"Barcelona", nullptr},
    {"Sandybridge", &CpuFeatures::avx},
    {"Haswell", &CpuFeatures::avx2_fma, true},
    {"Zen", &CpuFeatures::avx2_fma, true},
    {"SkylakeX", &CpuFeatures::avx512, true},
    {"Cooperlake", &CpuFeatures::avx512_bf16, true},
    {"SapphireRapids", &CpuFeatures::avx512_bf16, true},
};

const KernelRule* FindKernel(absl::string_view name) {
  for (const KernelRule& kernel : kKernels) {
    if (absl::EqualsIgnoreCase(kernel.name, name)) return &kernel;
  }
  return nullptr;
}

bool CpuHas(const CpuFeatures& cpu, const KernelRule& kernel) {
  return kernel.needs == nullptr || cpu.*kernel.needs;
}

absl::StatusOr<std::string> CheckRequested(const std::string& requested, const CpuFeatures& cpu) {
  if (!cpu.is_x86_64) return requested;
  const KernelRule* kernel = FindKernel(requested);
  if (kernel == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel: got ", requested, ", expected auto or one of ",
                     absl::StrJoin(kKernels, ", ", [](std::string* out, const KernelRule& rule) {
                       absl::StrAppend(out, rule.name);
                     })));
  }
  if (!CpuHas(cpu, *kernel)) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel: got ", requested, ", which needs instructions that this CPU lacks"));
  }
  return requested;
}

// Disables the instruction sets of Highway that are newer than the kernel's. Highway has no
// instruction set between SSE4 and AVX2.
void LimitHighway(const KernelRule& kernel) {
#if HWY_ARCH_X86
  // The better of two instruction sets has the lower bit.
  if (kernel.needs == nullptr || kernel.needs == &CpuFeatures::avx) {
    hwy::DisableTargets(HWY_SSE4 - 1);
  } else if (kernel.needs == &CpuFeatures::avx2_fma) {
    hwy::DisableTargets(HWY_AVX2 - 1);
  }
#else
  static_cast<void>(kernel);
#endif
}

absl::Status ReplaceProcess(const std::string& kernel, char** argv) {
  setenv(kCoreTypeVariable, kernel.c_str(), 1);
  setenv(kAttemptVariable, kernel.c_str(), 1);
  // The program is executed by its path, because /proc/self/exe would become the name that ps and
  // pgrep see.
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) execv(self.c_str(), argv);
  execv("/proc/self/exe", argv);
  return absl::InternalError(
      absl::StrCat("cannot run itself again to load kernel ", kernel, ": ", std::strerror(errno)));
}

}  // namespace

CpuFeatures DetectCpuFeatures() {
  CpuFeatures features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features.is_x86_64 = true;
  features.avx = __builtin_cpu_supports("avx");
  features.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  features.avx512_bf16 = features.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  return features;
}

absl::StatusOr<std::string> ChooseBlasKernel(const KernelChoiceInput& input) {
  const CpuFeatures& cpu = input.cpu;
  if (!absl::EqualsIgnoreCase(input.requested, "auto")) {
    return CheckRequested(input.requested, cpu);
  }
  if (!cpu.avx2_fma) return std::string();
  const KernelRule* loaded = FindKernel(input.loaded);
  const bool is_modern = loaded != nullptr && loaded->is_modern && CpuHas(cpu, *loaded);
  const bool uses_avx512 = is_modern && loaded->needs != &CpuFeatures::avx2_fma;
  if (is_modern && (uses_avx512 || !cpu.avx512 || input.from_environment)) return std::string();
  return std::string(cpu.avx512 ? "SkylakeX" : "Haswell");
}

absl::Status SelectKernelsOrReexec(absl::string_view requested, char** argv, const LogSink& log) {
  const char* attempt_value = std::getenv(kAttemptVariable);
  const std::string attempt = attempt_value == nullptr ? "" : attempt_value;
  unsetenv(kAttemptVariable);

  const std::string loaded = BlasKernelName();
  const KernelChoiceInput input = {
      .requested = std::string(requested),
      .loaded = loaded,
      .from_environment = attempt.empty() && std::getenv(kCoreTypeVariable) != nullptr,
      .cpu = DetectCpuFeatures()};
  ASSIGN_OR_RETURN(const std::string wanted, ChooseBlasKernel(input));
  if (!wanted.empty() && !absl::EqualsIgnoreCase(wanted, loaded)) {
    if (attempt.empty()) return ReplaceProcess(wanted, argv);
    if (!absl::EqualsIgnoreCase(requested, "auto")) {
      return absl::InvalidArgumentError(absl::StrCat("kernel: got ", requested, ", which ",
                                                     BlasVersion(), " does not have: it picked ",
                                                     loaded));
    }
    log({LogLevel::kWarning, absl::StrCat(BlasVersion(), " does not have the kernel ", wanted,
                                          "; it uses ", loaded, ", which may be slow")});
  }
  if (!BlasIsThreadSafe()) {
    return absl::FailedPreconditionError(
        absl::StrCat(BlasVersion(),
                     " was built without threads and is not safe to call from "
                     "several: install its pthread build (libopenblas0-pthread)"));
  }
  BlasUsesOneThread();
  const KernelRule* named = FindKernel(requested);  // null: auto
  if (named != nullptr) LimitHighway(*named);
  return absl::OkStatus();
}

}  // namespace qkserve
