#ifndef QKSERVE_DEMO_SHARED_PASS_H_
#define QKSERVE_DEMO_SHARED_PASS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "qkserve/client.h"

namespace qkserve {

struct Throughput {
  int64_t requests = 0;
  absl::Duration elapsed;

  double PerSecond() const {
    return elapsed > absl::ZeroDuration()
               ? static_cast<double>(requests) / absl::ToDoubleSeconds(elapsed)
               : 0;
  }
};

// The throughput of the same requests, answered in three ways.
struct SharedPassReport {
  Throughput own_calls;   // one OpenBLAS call for each request, in this process
  Throughput one_caller;  // by the server, for one caller that waits for each answer
  Throughput together;    // by the server, for all callers at once

  // The mean number of requests of `together` that one pass over the keys answered.
  double requests_of_a_pass = 0;
};

struct SharedPassOptions {
  const Clock* clock = Clock::Monotonic();
  int threads = 1;  // threads that make own calls
  // The three ways take turns, so that other work on the machine slows all of them. In each round
  // every way has a turn of length `turn`.
  int rounds = 3;
  absl::Duration turn = absl::Milliseconds(300);
  absl::Duration timeout = absl::Seconds(20);  // for each request
};

// Returns the scores that request `i` should get, best first, from one call of OpenBLAS. Several
// threads call it at once.
using OwnCall = std::function<std::vector<float>(size_t i)>;

// Sends each TOP_K request once alone. Then measures the three ways of SharedPassReport in turns,
// in about 3 * rounds * turn. For `together`, each request has a caller that sends it again and
// again.
//
// INTERNAL: a request sent alone gets other scores than `own_call` computes, within a small
// tolerance. Or an answer in `together` is not, byte for byte, the answer to the request alone.
// Other errors are the first error of a call. All callers stop after an error.
absl::StatusOr<SharedPassReport> CompareSharedPass(Client& client,
                                                   absl::Span<const v1::ScoreRequest> requests,
                                                   const OwnCall& own_call,
                                                   const SharedPassOptions& options = {});

// A made-up item catalogue: 10000 keys and a few queries of 768 float32. The numbers are the same
// in every run.
class Catalogue {
 public:
  static constexpr int64_t kKeys = 10'000;
  static constexpr int64_t kDimensions = 768;
  static constexpr int64_t kTopK = 10;

  explicit Catalogue(size_t queries);

  TensorView Keys() const;
  TensorView Query(size_t i) const;

  // Scores query `i` with one call of OpenBLAS and returns the kTopK best scores, best first.
  // Thread-safe. OpenBLAS must be ready: see core/kernels/blas_kernel.h.
  std::vector<float> BestScores(size_t i) const;

 private:
  std::vector<float> keys_;
  std::vector<float> queries_;
};

}  // namespace qkserve

#endif  // QKSERVE_DEMO_SHARED_PASS_H_
