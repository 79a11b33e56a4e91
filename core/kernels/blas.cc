#include "core/kernels/blas.h"

#include <cblas.h>
#include <sched.h>
#include <semaphore.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// OpenBLAS has two buffers for each of the threads that it was built for.
int ThreadsOfBlas() {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=128"
  const std::string config = openblas_get_config();
  for (absl::string_view word : absl::StrSplit(config, ' ')) {
    int threads = 0;
    if (absl::ConsumePrefix(&word, "MAX_THREADS=") && absl::SimpleAtoi(word, &threads)) {
      return std::max(threads, 1);
    }
  }
  // Every build has at least 50 buffers.
  return 16;
}

// POSIX's semaphore: a free turn costs one atomic operation, and no wake-up is lost.
// (std::counting_semaphore of libstdc++ 12 loses them: its bug 104928.)
class Turns {
 public:
  explicit Turns(int count) { sem_init(&semaphore_, 0, static_cast<unsigned>(count)); }
  void Take() {
    while (sem_wait(&semaphore_) != 0) {
      // A signal came.
    }
  }
  void Return() { sem_post(&semaphore_); }

 private:
  sem_t semaphore_;
};

// The right to call OpenBLAS, for the length of a scope.
class BlasTurn {
 public:
  BlasTurn() { All().Take(); }
  ~BlasTurn() { All().Return(); }
  BlasTurn(const BlasTurn&) = delete;
  BlasTurn& operator=(const BlasTurn&) = delete;

 private:
  // Never destroyed: threads may compute while the process ends.
  static Turns& All() {
    static Turns& turns = *new Turns(BlasCallsMax());
    return turns;
  }
};

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
  const BlasTurn turn;
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
  const BlasTurn turn;
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

int BlasCallsMax() {
  static const int calls_max = [] {
    cpu_set_t affinity;
    CPU_ZERO(&affinity);
    // It fails where the machine has more CPUs than the set has room for.
    const bool is_known = sched_getaffinity(0, sizeof(affinity), &affinity) == 0;
    return std::min(is_known ? CPU_COUNT(&affinity) : CPU_SETSIZE, ThreadsOfBlas());
  }();
  return calls_max;
}

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
