#ifndef QKSERVE_BENCH_SUM_PASS_H_
#define QKSERVE_BENCH_SUM_PASS_H_

#include <cstdint>

namespace qkserve::bench {

// The sum of `count` floats aligned to 64 bytes. It uses many vectors at once, and so reads as fast
// as one thread can.
float SumPass(const float* values, int64_t count);

// Does float32 multiply-adds as fast as one thread can: `rounds` rounds of as many independent
// vectors as registers allow. Returns how many it did. `*sink` gets the result.
int64_t MultiplyAddPass(int64_t rounds, float* sink);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_SUM_PASS_H_
