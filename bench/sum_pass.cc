// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/sum_pass.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "bench/sum_pass.h"

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve::bench {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

float SumPass(const float* values, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  int64_t i = 0;
  for (; i + 8 * lanes <= count; i += 8 * lanes) {
    const float* at = values + i;
    s0 = hn::Add(s0, hn::Load(d, at));
    s1 = hn::Add(s1, hn::Load(d, at + lanes));
    s2 = hn::Add(s2, hn::Load(d, at + 2 * lanes));
    s3 = hn::Add(s3, hn::Load(d, at + 3 * lanes));
    s4 = hn::Add(s4, hn::Load(d, at + 4 * lanes));
    s5 = hn::Add(s5, hn::Load(d, at + 5 * lanes));
    s6 = hn::Add(s6, hn::Load(d, at + 6 * lanes));
    s7 = hn::Add(s7, hn::Load(d, at + 7 * lanes));
  }
  s0 =
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  float sum = hn::GetLane(hn::SumOfLanes(d, s0));
  for (; i < count; ++i) sum += values[i];
  return sum;
}

int64_t MultiplyAddPass(int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, 0.5F);
  // Different numbers: equal ones would be one chain to the compiler.
  auto s0 = hn::Set(d, 0.0F);
  auto s1 = hn::Set(d, 1.0F);
  auto s2 = hn::Set(d, 2.0F);
  auto s3 = hn::Set(d, 3.0F);
  auto s4 = hn::Set(d, 4.0F);
  auto s5 = hn::Set(d, 5.0F);
  auto s6 = hn::Set(d, 6.0F);
  auto s7 = hn::Set(d, 7.0F);
  auto s8 = hn::Set(d, 8.0F);
  auto s9 = hn::Set(d, 9.0F);
  auto s10 = hn::Set(d, 10.0F);
  auto s11 = hn::Set(d, 11.0F);
  for (int64_t i = 0; i < rounds; ++i) {
    s0 = hn::MulAdd(s0, x, x);
    s1 = hn::MulAdd(s1, x, x);
    s2 = hn::MulAdd(s2, x, x);
    s3 = hn::MulAdd(s3, x, x);
    s4 = hn::MulAdd(s4, x, x);
    s5 = hn::MulAdd(s5, x, x);
    s6 = hn::MulAdd(s6, x, x);
    s7 = hn::MulAdd(s7, x, x);
    s8 = hn::MulAdd(s8, x, x);
    s9 = hn::MulAdd(s9, x, x);
    s10 = hn::MulAdd(s10, x, x);
    s11 = hn::MulAdd(s11, x, x);
  }
  s0 =
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  s0 = hn::Add(s0, hn::Add(hn::Add(s8, s9), hn::Add(s10, s11)));
  *sink = hn::GetLane(hn::SumOfLanes(d, s0));
  return rounds * 12 * static_cast<int64_t>(hn::Lanes(d));
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
