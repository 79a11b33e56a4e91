#ifndef QKSERVE_BENCH_SUM_PASS_H_
#define QKSERVE_BENCH_SUM_PASS_H_

#include <cstdint>

namespace qkserve::bench {

// The sum of `count` floats, aligned to 64 bytes, in many vectors at once: as fast as one thread
// can read memory from beginning to end.
float SumPass(const float* values, int64_t count);

// Multiply-adds of float32 in `rounds` rounds of as many independent vectors as registers allow: as
// fast as one thread can. Returns how many there were; `*sink` gets what came out.
int64_t MultiplyAddPass(int64_t rounds, float* sink);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_SUM_PASS_H_
