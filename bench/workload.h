#ifndef QKSERVE_BENCH_WORKLOAD_H_
#define QKSERVE_BENCH_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

// One request of float32 inline keys, sent over and over.
struct Workload {
  std::string name;
  int64_t n = 0;        // queries
  int64_t m = 0;        // keys
  int64_t d = 0;        // elements of each
  int concurrency = 1;  // callers in the second part, where throughput is measured
};

// tiny, inline-small, inline-large, inline-square.
absl::Span<const Workload> AllWorkloads();

// Elements from a standard normal distribution; the same for the same seed.
v1::ScoreRequest MakeRequest(const Workload& workload, uint64_t seed);

// The elements of a tensor's data.
absl::Span<const float> Floats(const v1::Tensor& tensor);

// Checks a sample of the scores against float64: |score - exact| <= 2 * gamma_d * sum |q_i * k_i|
// with gamma_d = d * u / (1 - d * u), u = 2^-24: twice the bound that holds for any order of
// summation (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
// INTERNAL: a score is outside, or type or shape are wrong.
absl::Status CheckScores(const v1::ScoreRequest& request, const v1::ScoreResponse& response);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_WORKLOAD_H_
