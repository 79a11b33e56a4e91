#include "bench/openblas.h"

#include <cblas.h>

namespace qkserve::bench {

void SetBlasThreads(int threads) { openblas_set_num_threads(threads); }

void ComputeScoresInOneCall(const float* queries, const float* keys, float* scores, int64_t n,
                            int64_t m, int64_t d) {
  const auto rows = static_cast<blasint>(n);
  const auto columns = static_cast<blasint>(m);
  const auto depth = static_cast<blasint>(d);
  if (n == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, columns, depth, 1, keys, depth, queries, 1, 0, scores,
                1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, depth, 1, queries, depth,
                keys, depth, 0, scores, columns);
  }
}

}  // namespace qkserve::bench
