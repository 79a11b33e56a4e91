#include "core/attention/kernel.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/attention/blas.h"

namespace qkserve {
namespace {

constexpr char kCoreTypeVariable[] = "OPENBLAS_CORETYPE";
// Says to the replaced process what it was replaced for, so that it does so only once.
constexpr char kAttemptVariable[] = "QKSERVE_KERNEL_ATTEMPT";

bool NeedsAvx512(absl::string_view kernel) {
  for (const absl::string_view name : {"SkylakeX", "Cooperlake", "SapphireRapids"}) {
    if (absl::EqualsIgnoreCase(kernel, name)) return true;
  }
  return false;
}

bool NeedsAvx2(absl::string_view kernel) {
  for (const absl::string_view name : {"Haswell", "Zen", "Excavator"}) {
    if (absl::EqualsIgnoreCase(kernel, name)) return true;
  }
  return NeedsAvx512(kernel);
}

absl::Status ReplaceProcess(const std::string& kernel, char** argv) {
  setenv(kCoreTypeVariable, kernel.c_str(), 1);
  setenv(kAttemptVariable, kernel.c_str(), 1);
  // By its path and not as /proc/self/exe, which would become the name that ps and pgrep see.
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
  features.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return features;
}

absl::StatusOr<std::string> ChooseBlasKernel(const KernelQuestion& question) {
  const CpuFeatures& cpu = question.cpu;
  if (!absl::EqualsIgnoreCase(question.requested, "auto")) {
    if (NeedsAvx512(question.requested) && !cpu.avx512) {
      return absl::InvalidArgumentError(
          absl::StrCat("kernel ", question.requested, " needs AVX-512, which this CPU lacks"));
    }
    if (NeedsAvx2(question.requested) && !cpu.avx2_fma) {
      return absl::InvalidArgumentError(
          absl::StrCat("kernel ", question.requested, " needs AVX2, which this CPU lacks"));
    }
    return question.requested;
  }
  if (question.from_environment && NeedsAvx2(question.loaded)) return std::string();
  if (cpu.avx512) return std::string("SkylakeX");
  if (cpu.avx2_fma) return std::string("Haswell");
  return std::string();
}

absl::Status EnsureBlasKernel(absl::string_view requested, char** argv) {
  const char* attempt_value = std::getenv(kAttemptVariable);
  const std::string attempt = attempt_value == nullptr ? "" : attempt_value;
  unsetenv(kAttemptVariable);

  const std::string loaded = BlasKernelName();
  const absl::StatusOr<std::string> wanted = ChooseBlasKernel(
      {.requested = std::string(requested),
       .loaded = loaded,
       .from_environment = attempt.empty() && std::getenv(kCoreTypeVariable) != nullptr,
       .cpu = DetectCpuFeatures()});
  if (!wanted.ok()) return wanted.status();
  if (!wanted->empty() && !absl::EqualsIgnoreCase(*wanted, loaded)) {
    if (attempt.empty()) return ReplaceProcess(*wanted, argv);
    if (!absl::EqualsIgnoreCase(requested, "auto")) {
      return absl::InvalidArgumentError(absl::StrCat("kernel ", requested, ": ", BlasVersion(),
                                                     " does not have it and picked ", loaded));
    }
  }
  if (!BlasIsThreadSafe()) {
    return absl::FailedPreconditionError(
        absl::StrCat(BlasVersion(),
                     " was built without threads and is not safe to call from "
                     "several: install its pthread build (libopenblas0-pthread)"));
  }
  BlasUsesOneThread();
  return absl::OkStatus();
}

}  // namespace qkserve
