#ifndef QKSERVE_TOOLS_LOAD_WORKLOAD_H_
#define QKSERVE_TOOLS_LOAD_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/key_set.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The requests of a load: float32 queries [n, d] against keys [m, d].
struct LoadWorkload {
  std::string name = {};  // "" if it is no standard workload
  int64_t n = 16;
  int64_t m = 128;
  int64_t d = 64;
  std::optional<int64_t> dv = std::nullopt;  // set if there are values [m, dv]
  Output output = Output::kScores;
  int64_t top_k = 0;  // for kTopK

  bool resident = false;  // true: requests use key sets; false: keys are inline
  int key_sets = 1;       // key sets that requests are spread over
  double zipf = 0;        // key set i is chosen in proportion to 1 / (i + 1)^zipf

  // The queries' dimensions before [n, d]. Empty unless an existing key set has such dimensions.
  Shape leading = {};
};

// Returns the workloads that the benchmarks share, such as "tiny".
absl::Span<const LoadWorkload> StandardWorkloads();

// Returns the names of the standard workloads: "tiny, inline-small, ...".
std::string StandardWorkloadNames();

// Returns the standard workload of this name, or null.
const LoadWorkload* FindStandardWorkload(absl::string_view name);

// Returns the workload with the sizes of the key set that `info` describes.
LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info);

// Checks the sizes. INVALID_ARGUMENT: a size is negative, or a request or its result is larger than
// `message_bytes_max`.
absl::Status CheckSizes(const LoadWorkload& workload, int64_t message_bytes_max);

// Returns the bytes of the tensors in one request, or INT64_MAX if the number does not fit.
int64_t RequestBytes(const LoadWorkload& workload);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_WORKLOAD_H_
