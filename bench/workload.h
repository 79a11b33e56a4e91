#ifndef QKSERVE_BENCH_WORKLOAD_H_
#define QKSERVE_BENCH_WORKLOAD_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/load/workload.h"

namespace qkserve::bench {

// A standard workload and its callers.
struct BenchWorkload : LoadWorkload {
  int callers = 64;  // callers of the second part, which measures throughput
  std::optional<float> scale = std::nullopt;
};

// tiny, inline-small, inline-large, inline-square.
absl::Span<const BenchWorkload> InlineWorkloads();

// resident-top, resident-row, resident-context, resident-mixed, resident-heavy.
absl::Span<const BenchWorkload> ResidentWorkloads();

// The workload of this name. There must be one.
const BenchWorkload& WorkloadCalled(absl::string_view name);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_WORKLOAD_H_
