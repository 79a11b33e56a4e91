// Highway compiles this file once for every instruction set and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/sum_pass.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "bench/sum_pass.h"

#include <numeric>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve::bench {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<Floats>;
constexpr int64_t kLanes =
    hn::MaxLanes(Floats());  // every vector has this many: see HWY_DISABLED_TARGETS in CMake

template <int kVectors>
float SumOf(const FloatVector (&vectors)[kVectors]) {
  float sum = 0;
  for (const FloatVector& vector : vectors) sum += hn::GetLane(hn::SumOfLanes(Floats(), vector));
  return sum;
}

float SumPass(const float* values, int64_t count) {
  constexpr int kVectors = 8;
  FloatVector sums[kVectors];
  for (FloatVector& sum : sums) sum = hn::Zero(Floats());
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = hn::Add(sums[v], hn::Load(Floats(), values + i + v * kLanes));
    }
  }
  return std::accumulate(values + i, values + count, SumOf(sums));
}

int64_t MultiplyAddPass(int64_t rounds, float* sink) {
  constexpr int kVectors = 12;
  const auto x = hn::Set(Floats(), 0.5F);
  FloatVector sums[kVectors];
  // The vectors begin with different numbers. Otherwise the compiler could merge them into one.
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::Set(Floats(), static_cast<float>(v));
  for (int64_t i = 0; i < rounds; ++i) {
    HWY_UNROLL(12)
    for (int v = 0; v < kVectors; ++v) sums[v] = hn::MulAdd(sums[v], x, x);
  }
  *sink = SumOf(sums);
  return rounds * kVectors * kLanes;
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve::bench {

HWY_EXPORT(SumPass);
HWY_EXPORT(MultiplyAddPass);

float SumPass(const float* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SumPass)(values, count);
}

int64_t MultiplyAddPass(int64_t rounds, float* sink) {
  return HWY_DYNAMIC_DISPATCH(MultiplyAddPass)(rounds, sink);
}

}  // namespace qkserve::bench
#endif  // HWY_ONCE
