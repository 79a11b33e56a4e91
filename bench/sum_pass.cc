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

}  // namespace HWY_NAMESPACE
}  // namespace qkserve::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve::bench {

HWY_EXPORT(SumPass);

float SumPass(const float* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SumPass)(values, count);
}

}  // namespace qkserve::bench
#endif  // HWY_ONCE
