#ifndef QKSERVE_BENCH_SUM_PASS_H_
#define QKSERVE_BENCH_SUM_PASS_H_

#include <cstdint>

namespace qkserve::bench {

// Returns the sum of `count` floats, which must be aligned to 64 bytes. Many vectors are summed at
// once, so that one thread reads as fast as it can.
float SumPass(const float* values, int64_t count);

// Does float32 multiply-adds as fast as one thread can. Each of the `rounds` rounds does one on
// each element of 12 independent vectors. Returns the number of multiply-adds. Writes the result to
// `*sink`.
int64_t MultiplyAddPass(int64_t rounds, float* sink);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_SUM_PASS_H_
