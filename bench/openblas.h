#ifndef QKSERVE_BENCH_OPENBLAS_H_
#define QKSERVE_BENCH_OPENBLAS_H_

#include <cstdint>

namespace qkserve::bench {

// OpenBLAS as its users call it, for the baselines. The service itself uses core/kernels/blas.h.

// Sets how many threads one call uses. With more than one thread, calls must not overlap, because
// OpenBLAS 0.3.21 runs only one threaded matrix product at a time in a process.
void SetBlasThreads(int threads);

struct Sizes {
  int64_t n = 0;  // queries
  int64_t m = 0;  // keys
  int64_t d = 0;  // elements of a key, or of a value
};

// Computes scores [n, m] = scale * queries [n, d] * keys [m, d] transposed, in one call:
// cblas_sgemv for one query, otherwise cblas_sgemm. No size may be 0.
void ComputeScoresInOneCall(const float* queries, const float* keys, float* scores,
                            const Sizes& sizes, float scale = 1);

// Computes context [n, d] = weights [n, m] * values [m, d], with the same two functions.
void WeighValuesInOneCall(const float* weights, const float* values, float* context,
                          const Sizes& sizes);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_OPENBLAS_H_
