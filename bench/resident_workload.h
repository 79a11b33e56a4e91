#ifndef QKSERVE_BENCH_RESIDENT_WORKLOAD_H_
#define QKSERVE_BENCH_RESIDENT_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// Requests of float32 queries against key sets of one shape.
struct ResidentWorkload {
  std::string name;
  int64_t n = 1;   // queries of a request
  int64_t m = 0;   // keys
  int64_t d = 0;   // elements of each
  int64_t dv = 0;  // elements of a value; 0: no values
  v1::Output output = v1::SCORES;
  int64_t top_k = 0;
  std::optional<float> scale = std::nullopt;
  // The callers are spread over so many sets as requests are in a catalogue of catalogues: set i,
  // from 1 on, has a share in proportion to 1/i (Zipf's law with exponent 1).
  int key_sets = 1;
  int callers = 64;  // in the second part
};

// resident-top, resident-row, resident-context, resident-mixed, resident-heavy.
absl::Span<const ResidentWorkload> ResidentWorkloads();

// The one of this name; there must be one.
const ResidentWorkload& ResidentWorkloadCalled(absl::string_view name);

struct ResidentKeySet {
  std::string name;
  v1::Tensor keys;
  std::optional<v1::Tensor> values;
};

// What a workload is run on.
struct ResidentData {
  std::vector<ResidentKeySet> key_sets;
  std::vector<v1::ScoreRequest> requests;  // with different queries
};

// The same for the same seed.
ResidentData MakeResidentData(const ResidentWorkload& workload, int requests, uint64_t seed);

// Checks a reply against float64: every score; for TOP_K also that no key was left out that is
// better by more than rounding; for CONTEXT every element.
// INTERNAL: something is outside its bound, or type or shape are wrong.
absl::Status CheckResidentAnswer(const ResidentKeySet& key_set, const v1::ScoreRequest& request,
                                 const v1::ScoreResponse& response);

// The one that the request names.
const ResidentKeySet& KeySetOf(const ResidentData& data, const v1::ScoreRequest& request);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_WORKLOAD_H_
