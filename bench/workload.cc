#include "bench/workload.h"

#include <cstdlib>
#include <vector>

namespace qkserve::bench {
namespace {

constexpr float kContextScale = 0.08838834764831845F;  // 1/sqrt(128)

BenchWorkload Standard(absl::string_view name, int callers,
                       std::optional<float> scale = std::nullopt) {
  const LoadWorkload* const workload = FindStandardWorkload(name);
  if (workload == nullptr) std::abort();
  return {*workload, callers, scale};
}

}  // namespace

absl::Span<const BenchWorkload> InlineWorkloads() {
  static const auto* const workloads = new std::vector<BenchWorkload>{
      Standard("tiny", 64),
      Standard("inline-small", 64),
      Standard("inline-large", 8),
      Standard("inline-square", 8),
  };
  return *workloads;
}

absl::Span<const BenchWorkload> ResidentWorkloads() {
  static const auto* const workloads = new std::vector<BenchWorkload>{
      Standard("resident-top", 64),
      Standard("resident-row", 64),
      Standard("resident-context", 64, kContextScale),
      Standard("resident-mixed", 64),
      Standard("resident-heavy", 8),
  };
  return *workloads;
}

const BenchWorkload& WorkloadCalled(absl::string_view name) {
  for (const auto& workloads : {InlineWorkloads(), ResidentWorkloads()}) {
    for (const BenchWorkload& workload : workloads) {
      if (workload.name == name) return workload;
    }
  }
  std::abort();
}

}  // namespace qkserve::bench
