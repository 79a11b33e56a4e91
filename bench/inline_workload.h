#ifndef QKSERVE_BENCH_INLINE_WORKLOAD_H_
#define QKSERVE_BENCH_INLINE_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// One request of float32 inline keys, sent over and over.
struct InlineWorkload {
  std::string name;
  int64_t n = 0;        // queries
  int64_t m = 0;        // keys
  int64_t d = 0;        // elements of each
  int concurrency = 1;  // callers in the second part, where throughput is measured
};

// tiny, inline-small, inline-large, inline-square.
absl::Span<const InlineWorkload> InlineWorkloads();

// The one of this name; there must be one.
const InlineWorkload& InlineWorkloadCalled(absl::string_view name);

// The same for the same seed.
v1::ScoreRequest MakeInlineRequest(const InlineWorkload& workload, uint64_t seed);

// Checks a sample of the scores against float64.
// INTERNAL: a score is outside its bound, or type or shape are wrong.
absl::Status CheckInlineScores(const v1::ScoreRequest& request, const v1::ScoreResponse& response);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_INLINE_WORKLOAD_H_
