#ifndef QKSERVE_BENCH_WORKLOAD_H_
#define QKSERVE_BENCH_WORKLOAD_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/load/workload.h"

namespace qkserve::bench {

// A standard workload and its callers.
struct BenchWorkload : LoadWorkload {
  int callers = 64;  // callers when throughput is measured
  std::optional<float> scale = std::nullopt;
};

// Returns tiny, inline-small, inline-large and inline-square.
absl::Span<const BenchWorkload> InlineWorkloads();

// Returns resident-top, resident-row, resident-context, resident-mixed and resident-heavy.
absl::Span<const BenchWorkload> ResidentWorkloads();

// Returns the workload of this name, which must exist.
const BenchWorkload& WorkloadCalled(absl::string_view name);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_WORKLOAD_H_
