#include "core/kernels/blas.h"

#include <cblas.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/kernels/tile_scratch.h"

// Functions of OpenBLAS that its headers do not declare.
extern "C" {
void* blas_memory_alloc(int unused) __attribute__((weak));
void blas_memory_free(void* buffer) __attribute__((weak));
}

namespace qkserve {
namespace {

// Returns the number of threads that OpenBLAS was built for. OpenBLAS has two buffers for each
// thread.
int ThreadsOfBlas() {
  // An example of the configuration: "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY SkylakeX
  // MAX_THREADS=128".
  const std::string config = openblas_get_config();
  for (absl::string_view word : absl::StrSplit(config, ' ')) {
    int threads = 0;
    if (absl::ConsumePrefix(&word, "MAX_THREADS=") && absl::SimpleAtoi(word, &threads)) {
      return std::max(threads, 1);
    }
  }
  // Every build has at least 50 buffers, which are enough for 16 threads.
  return 16;
}

// Multiplies each row of a matrix by a vector. Results are `out_step` elements apart. Unless
// `accumulate` is true, `out` is zeroed first, because "beta = 0" has meant both "do not read" and
// "multiply by 0" in versions of OpenBLAS.
void MultiplyMatrixVector(const float* matrix, blasint rows, blasint stride, const float* vector,
                          blasint depth, bool accumulate, float* out, blasint out_step) {
  for (blasint i = 0; i < rows && !accumulate; ++i) out[int64_t{i} * out_step] = 0.0F;
  cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, depth, 1.0F, matrix, stride, vector, 1, 1.0F, out,
              out_step);
}

}  // namespace

void ComputeDotProducts(const DotProducts& args) {
  const TileScratch turn;
  const blasint rows = args.rows, keys = args.key_count, depth = args.depth;
  const blasint query_stride = args.query_stride, key_stride = args.key_stride;
  const blasint out_stride = args.out_stride;
  if (rows == 1) {
    // A matrix-vector product streams the keys once. The matrix product would pack them first,
    // which takes 2.5 times as long at 10000 x 768.
    MultiplyMatrixVector(args.keys, keys, key_stride, args.queries, depth, args.accumulate,
                         args.out, 1);
  } else if (keys == 1) {
    // With a single key, the queries are the matrix and the results are a column.
    MultiplyMatrixVector(args.queries, rows, query_stride, args.keys, depth, args.accumulate,
                         args.out, out_stride);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, depth, 1.0F, args.queries,
                query_stride, args.keys, key_stride, args.accumulate ? 1.0F : 0.0F, args.out,
                out_stride);
  }
}

void BlasUsesOneThread() { openblas_set_num_threads(1); }

int BlasCallsMax() {
  static const int calls_max = [] {
    cpu_set_t affinity;
    CPU_ZERO(&affinity);
    // The call fails if the machine has more CPUs than the set has room for.
    const bool is_known = sched_getaffinity(0, sizeof(affinity), &affinity) == 0;
    return std::min(is_known ? CPU_COUNT(&affinity) : CPU_SETSIZE, ThreadsOfBlas());
  }();
  return calls_max;
}

void ReserveBlasBuffers(int calls) {
  if (blas_memory_alloc == nullptr || blas_memory_free == nullptr) return;
  std::vector<void*> buffers;
  for (int i = 0; i < std::min(calls, BlasCallsMax()); ++i) {
    buffers.push_back(blas_memory_alloc(0));
  }
  for (void* const buffer : buffers) blas_memory_free(buffer);
}

bool BlasIsThreadSafe() { return openblas_get_parallel() != OPENBLAS_SEQUENTIAL; }

std::string BlasKernelName() { return openblas_get_corename(); }

std::string BlasVersion() {
  // An example of the configuration: "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...".
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
                        .depth = kSize});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best_seconds = std::min(best_seconds, took.count());
  }
  return 2e-9 * kSize * kSize * kSize / best_seconds;
}

}  // namespace qkserve
