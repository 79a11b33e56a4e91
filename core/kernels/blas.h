#ifndef QKSERVE_CORE_KERNELS_BLAS_H_
#define QKSERVE_CORE_KERNELS_BLAS_H_

#include <cstdint>
#include <string>

namespace qkserve {

// The server calls OpenBLAS only through these functions.
//
// The functions are thread-safe after BlasUsesOneThread(). A call runs on its caller's thread
// alone. Any number of threads may call. At most BlasCallsMax() calls run at a time, and further
// callers wait.

// Computes out[i][j] (+)= sum over p of queries[i][p] * keys[j][p].
//
// queries: rows x depth with row stride query_stride. keys: key_count x depth with row stride
// key_stride. out: rows x key_count with row stride out_stride. Strides are in elements. No size is
// 0. If `accumulate` is false, out is overwritten and need not be initialised.
//
// Deterministic: the bits of out depend only on the values and sizes of the arguments. A caller
// that promises repeatable bits must therefore fix the sizes.
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

// Makes OpenBLAS compute every later call of this process on the caller's thread only.
void BlasUsesOneThread();

// True if several threads may call OpenBLAS at once. False if OpenBLAS was built without threads,
// because it then has no locks.
bool BlasIsThreadSafe();

// Returns the most calls of OpenBLAS that run at a time: one for each CPU that this process may
// use, but at most half the number of OpenBLAS's buffers. A call uses one buffer, which keeps the
// pages that were touched. OpenBLAS 0.3.21 crashes if it has fewer buffers than threads that need
// one.
int BlasCallsMax();

// Makes OpenBLAS allocate the buffers for `calls` simultaneous calls. This takes only address
// space, because pages are touched later. Without this, a call allocates a buffer when it needs
// one, and OpenBLAS 0.3 retries for ever if the system then refuses memory. Does nothing if the
// library does not export its buffer functions.
void ReserveBlasBuffers(int calls);

// Returns OpenBLAS's name for the kernels that it picked when it was loaded, for example
// "SkylakeX".
std::string BlasKernelName();

// Returns the name and version of the library, for example "OpenBLAS 0.3.21".
std::string BlasVersion();

// Measures the speed of this thread in giga floating-point operations per second. A multiply-add
// counts as two operations. Returns the best of a few runs. Takes a few milliseconds.
double MeasureBlasGflops();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLAS_H_
