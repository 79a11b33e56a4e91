// The program of ./run fuzz. libFuzzer calls the target that QKSERVE_FUZZ_TARGET names. With
// QKSERVE_FUZZ_SEEDS=FOLDER the program only writes the seeds of all targets into FOLDER/TARGET.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"
#include "core/kernels/blas_kernel.h"
#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

namespace qkserve {
namespace {

const FuzzTarget* chosen = nullptr;

void WriteSeeds(const std::filesystem::path& folder) {
  for (const FuzzTarget& target : FuzzTargets()) {
    std::filesystem::create_directories(folder / target.name);
    for (const auto& [name, bytes] : target.seeds()) {
      std::ofstream file(folder / target.name / ("seed-" + name), std::ios::binary);
      file << bytes;
    }
  }
}

void Choose(absl::string_view name) {
  for (const FuzzTarget& target : FuzzTargets()) {
    if (name == target.name) chosen = &target;
  }
  if (chosen != nullptr) return;
  std::fprintf(stderr, "QKSERVE_FUZZ_TARGET must be one of:");
  for (const FuzzTarget& target : FuzzTargets()) std::fprintf(stderr, " %s", target.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

const char* VariableOr(const char* name, const char* other) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : other;
}

}  // namespace
}  // namespace qkserve

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** argv) {
  if (const absl::Status status = qkserve::SelectKernelsOrReexec("auto", *argv); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
  if (const char* const folder = qkserve::VariableOr("QKSERVE_FUZZ_SEEDS", nullptr)) {
    qkserve::WriteSeeds(folder);
    std::exit(0);
  }
  GTEST_FLAG_SET(break_on_failure, true);  // tests' helpers have expectations, too
  qkserve::Choose(qkserve::VariableOr("QKSERVE_FUZZ_TARGET", ""));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qkserve::chosen->run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
