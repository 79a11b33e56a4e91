#ifndef QKSERVE_CORE_KERNELS_BLAS_H_
#define QKSERVE_CORE_KERNELS_BLAS_H_

#include <cstdint>
#include <string>

namespace qkserve {

// The only way to OpenBLAS: only blas.cc includes cblas.h.
//
// Thread-safe after BlasUsesOneThread(). A call runs on its caller's thread alone. Any number of
// threads may call. At most BlasCallsMax() calls run at a time, and further callers wait.

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

// True if several threads may call at once. A build of OpenBLAS without threads has no locks.
bool BlasIsThreadSafe();

// Returns the most calls of OpenBLAS that run at a time: one for each CPU that this process may
// use, but at most half the number of OpenBLAS's buffers. A call uses a buffer, and the buffer
// keeps the pages that were touched. OpenBLAS 0.3.21 crashes if more threads need a buffer than it
// has.
int BlasCallsMax();

// Makes OpenBLAS allocate the buffers for `calls` calls at a time. This takes address space only;
// pages are touched later. Without it, the first call that needs another buffer allocates one, and
// OpenBLAS 0.3 retries without end if the system then refuses memory. Does nothing if the library
// does not export the functions for buffers.
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
