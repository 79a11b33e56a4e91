#include "core/attention/blas.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace qkserve {
namespace {

// One query: a matrix-vector product streams the keys once, where the matrix product would pack
// them first (2.5 times slower at 10000 x 768).
void ComputeOneRow(const DotProducts& args) {
  // OpenBLAS has both treated "beta = 0" as "do not read" and as "multiply by 0" in the past;
  // zeroing first is right under either.
  if (!args.accumulate) std::fill_n(args.out, args.key_count, 0.0F);
  cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<blasint>(args.key_count),
              static_cast<blasint>(args.depth), 1.0F, args.keys,
              static_cast<blasint>(args.key_stride), args.queries, 1, 1.0F, args.out, 1);
}

// One key: the same with the roles exchanged, and the results a column.
void ComputeOneColumn(const DotProducts& args) {
  if (!args.accumulate) {
    for (int64_t i = 0; i < args.rows; ++i) args.out[i * args.out_stride] = 0.0F;
  }
  cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<blasint>(args.rows),
              static_cast<blasint>(args.depth), 1.0F, args.queries,
              static_cast<blasint>(args.query_stride), args.keys, 1, 1.0F, args.out,
              static_cast<blasint>(args.out_stride));
}

}  // namespace

void ComputeDotProducts(const DotProducts& args) {
  if (args.rows == 1) {
    ComputeOneRow(args);
    return;
  }
  if (args.key_count == 1) {
    ComputeOneColumn(args);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<blasint>(args.rows),
              static_cast<blasint>(args.key_count), static_cast<blasint>(args.depth), 1.0F,
              args.queries, static_cast<blasint>(args.query_stride), args.keys,
              static_cast<blasint>(args.key_stride), args.accumulate ? 1.0F : 0.0F, args.out,
              static_cast<blasint>(args.out_stride));
}

void AddWeightedSums(const WeightedSums& args) {
  if (args.rows == 1) {
    cblas_sgemv(CblasRowMajor, CblasTrans, static_cast<blasint>(args.key_count),
                static_cast<blasint>(args.columns), 1.0F, args.values,
                static_cast<blasint>(args.value_stride), args.weights, 1, 1.0F, args.out, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<blasint>(args.rows),
              static_cast<blasint>(args.columns), static_cast<blasint>(args.key_count), 1.0F,
              args.weights, static_cast<blasint>(args.weight_stride), args.values,
              static_cast<blasint>(args.value_stride), 1.0F, args.out,
              static_cast<blasint>(args.out_stride));
}

void BlasUsesOneThread() { openblas_set_num_threads(1); }

bool BlasIsThreadSafe() { return openblas_get_parallel() != OPENBLAS_SEQUENTIAL; }

std::string BlasKernelName() { return openblas_get_corename(); }

std::string BlasVersion() {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  const std::vector<std::string> words = absl::StrSplit(openblas_get_config(), ' ');
  return words.size() < 2 ? words[0] : absl::StrCat(words[0], " ", words[1]);
}

double MeasureBlasGflops() {
  constexpr int64_t kSize = 256;
  constexpr int kRuns = 5;
  const std::vector<float> a(kSize * kSize, 1.0F);
  std::vector<float> c(kSize * kSize);
  double best_seconds = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    ComputeDotProducts({.queries = a.data(),
                        .query_stride = kSize,
                        .keys = a.data(),
                        .key_stride = kSize,
                        .out = c.data(),
                        .out_stride = kSize,
                        .rows = kSize,
                        .key_count = kSize,
                        .depth = kSize,
                        .accumulate = false});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best_seconds = std::min(best_seconds, took.count());
  }
  return 2e-9 * kSize * kSize * kSize / best_seconds;
}

}  // namespace qkserve
