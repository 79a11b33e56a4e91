#ifndef QKSERVE_CORE_KERNELS_BLAS_H_
#define QKSERVE_CORE_KERNELS_BLAS_H_

#include <cstdint>
#include <string>

namespace qkserve {

// The only door to OpenBLAS: blas.cc alone includes cblas.h.
//
// Thread-safe after BlasUsesOneThread(); a call runs on its caller's thread alone. At most
// BlasCallsMax() calls run at a time, from any number of threads; further callers wait.

// out[i][j] (+)= sum over p of queries[i][p] * keys[j][p].
//
// queries: rows x depth with row stride query_stride; keys: key_count x depth with row stride
// key_stride; out: rows x key_count with row stride out_stride. Strides in elements. No size is 0.
// If `accumulate` is false, out is overwritten and may hold anything before.
//
// Deterministic: the bits of out depend on the arguments' values and sizes, not on what else runs.
// They do depend on the sizes, so a caller that promises bits must fix the sizes.
struct DotProducts {
  const float* queries;
  int64_t query_stride;
  const float* keys;
  int64_t key_stride;
  float* out;
  int64_t out_stride;
  int64_t rows;
  int64_t key_count;
  int64_t depth;
  bool accumulate = false;
};
void ComputeDotProducts(const DotProducts& args);

// Makes every later call of OpenBLAS in this process use its caller's thread only.
void BlasUsesOneThread();

// True if calls from several threads at once are safe: a build without threads has no locks.
bool BlasIsThreadSafe();

// Calls of OpenBLAS that run at a time: one for each CPU that this process may use, but at most
// half the buffers that OpenBLAS was built with. Each call takes a buffer, which keeps the pages
// that were touched. OpenBLAS 0.3.21 crashes if more threads want a buffer than there are.
int BlasCallsMax();

// OpenBLAS's name of the kernels it picked when it was loaded, for example "SkylakeX".
std::string BlasKernelName();

// For example "OpenBLAS 0.3.21".
std::string BlasVersion();

// Giga floating-point operations per second of this thread, multiply and add counted as two. Best
// of a few runs; takes a few milliseconds.
double MeasureBlasGflops();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLAS_H_
