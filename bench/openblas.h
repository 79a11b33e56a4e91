#ifndef QKSERVE_BENCH_OPENBLAS_H_
#define QKSERVE_BENCH_OPENBLAS_H_

#include <cstdint>

namespace qkserve::bench {

// OpenBLAS as its users call it, for the baselines. The service itself uses core/attention/blas.h.

// Threads that one call uses. With more than one, calls must not overlap: the threaded matrix
// product of OpenBLAS 0.3.21 is one at a time in a process.
void SetBlasThreads(int threads);

// scores [n, m] = queries [n, d] * keys [m, d] transposed, in one call: cblas_sgemv for one query,
// else cblas_sgemm. No size is 0.
void ComputeScoresInOneCall(const float* queries, const float* keys, float* scores, int64_t n,
                            int64_t m, int64_t d);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_OPENBLAS_H_
