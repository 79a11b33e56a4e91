#ifndef QKSERVE_CLIENT_QKCTL_LOAD_REQUESTS_H_
#define QKSERVE_CLIENT_QKCTL_LOAD_REQUESTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/key_set.h"
#include "core/output.h"
#include "core/tensor.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve {

// What a load sends: float32 queries, against inline keys of float32 or a key set.
struct LoadWorkload {
  int64_t n = 0;
  int64_t m = 0;
  int64_t d = 0;
  int concurrency = 0;
  int channels = 0;
  Output output = Output::kScores;
  int64_t top_k = 0;  // for kTopK

  std::optional<KeySetReference> key_set = std::nullopt;  // none: inline keys
  Shape leading = {};  // dimensions of the queries before [n, d], those of the key set
};

// The workload against what the server says of the key set.
LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info);

// INVALID_ARGUMENT: a size is negative, or a request or its result larger than a message may be.
absl::Status CheckSizes(const LoadWorkload& workload, int64_t message_bytes_max);

// Different requests, as many as there are threads, or fewer, for threads to share, where memory
// would not do. The same seed gives the same ones.
// RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<std::vector<v1::ScoreRequest>> BuildRequests(const LoadWorkload& workload,
                                                            uint64_t seed);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_QKCTL_LOAD_REQUESTS_H_
