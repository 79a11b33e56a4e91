#ifndef QKSERVE_CORE_KERNELS_BLAS_H_
#define QKSERVE_CORE_KERNELS_BLAS_H_

#include <cstdint>
#include <string>

namespace qkserve {

// The only door to OpenBLAS: no other file than blas.cc includes cblas.h.
//
// Thread-safe after BlasUsesOneThread(). A call runs on its caller's thread alone. Any number of
// threads may call. At most BlasCallsMax() calls run at a time, and further callers wait.

// out[i][j] (+)= sum over p of queries[i][p] * keys[j][p].
//
// queries: rows x depth with row stride query_stride. keys: key_count x depth with row stride
// key_stride. out: rows x key_count with row stride out_stride. Strides are in elements. No size is
// 0. If `accumulate` is false, out is overwritten and need not be initialised.
//
// Deterministic: the bits of out depend on the arguments' values and sizes, and not on what else
// runs. A caller that promises bits must therefore fix the sizes.
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

// True if several threads may call at once. A build of OpenBLAS without threads has no locks.
bool BlasIsThreadSafe();

// How many calls of OpenBLAS run at a time: one for each CPU that this process may use, but at most
// half as many as OpenBLAS has buffers. A call takes a buffer, which keeps the pages that were
// touched. OpenBLAS 0.3.21 crashes if more threads want a buffer than there are.
int BlasCallsMax();

// Takes the buffers of so many calls at a time (address space; pages are touched later). Without it
// the first call that needs another buffer takes it, and if the system refuses memory then,
// OpenBLAS 0.3 asks again without end. Does nothing if the library does not export the functions.
void ReserveBlasBuffers(int calls);

// OpenBLAS's name for the kernels that it picked when it was loaded, for example "SkylakeX".
std::string BlasKernelName();

// The library and its version, for example "OpenBLAS 0.3.21".
std::string BlasVersion();

// The speed of this thread in giga floating-point operations per second, where a multiply-add
// counts as two. The best of a few runs; takes a few milliseconds.
double MeasureBlasGflops();

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_BLAS_H_
