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
  std::string name = {};  // of a standard workload; "": none
  int64_t n = 16;
  int64_t m = 128;
  int64_t d = 64;
  std::optional<int64_t> dv = std::nullopt;  // there are values [m, dv]
  Output output = Output::kScores;
  int64_t top_k = 0;  // for kTopK

  bool resident = false;  // against key sets; otherwise keys travel with the requests
  int key_sets = 1;       // which requests choose between
  double zipf = 0;        // key set i is chosen in proportion to 1 / (i + 1)^zipf

  Shape leading = {};  // dimensions of the queries before [n, d], those of a key set that was there
};

// tiny and so on: the names that benchmarks share.
absl::Span<const LoadWorkload> StandardWorkloads();

// Their names: "tiny, inline-small, ...".
std::string StandardWorkloadNames();

// nullptr: there is none of that name.
const LoadWorkload* FindStandardWorkload(absl::string_view name);

// The workload against what the server says of a key set.
LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info);

// INVALID_ARGUMENT: a size is negative, or a request or its result larger than a message may be.
absl::Status CheckSizes(const LoadWorkload& workload, int64_t message_bytes_max);

// Bytes of the tensors in one request; INT64_MAX if the number does not fit.
int64_t RequestBytes(const LoadWorkload& workload);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_LOAD_WORKLOAD_H_
