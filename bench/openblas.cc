#include "bench/openblas.h"

#include <cblas.h>

namespace qkserve::bench {

void SetBlasThreads(int threads) { openblas_set_num_threads(threads); }

void ComputeScoresInOneCall(const float* queries, const float* keys, float* scores,
                            const Sizes& sizes, float scale) {
  const blasint n = sizes.n, m = sizes.m, d = sizes.d;
  if (n == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, m, d, scale, keys, d, queries, 1, 0, scores, 1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, d, scale, queries, d, keys, d, 0,
                scores, m);
  }
}

void WeighValuesInOneCall(const float* weights, const float* values, float* context,
                          const Sizes& sizes) {
  const blasint n = sizes.n, m = sizes.m, d = sizes.d;
  if (n == 1) {
    cblas_sgemv(CblasRowMajor, CblasTrans, m, d, 1, values, d, weights, 1, 0, context, 1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d, m, 1, weights, m, values, d, 0,
                context, d);
  }
}

}  // namespace qkserve::bench
