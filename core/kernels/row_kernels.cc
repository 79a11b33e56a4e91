// Highway compiles this file once for every instruction set and picks a version at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/row_kernels.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "core/kernels/row_kernels.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "hwy/contrib/algo/transform-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void ScaleRow(float factor, int64_t count, float* row) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factors = hn::Set(d, factor);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, row + i), factors), d, row + i);
  }
  for (; i < count; ++i) row[i] *= factor;
}

// Applies the softcap in float64, so that the result is as close as float32 can be.
void Cap(float softcap, int64_t count, float* row) {
  const hn::Rebind<float, hn::ScalableTag<double>> floats;
  hn::Transform(floats, row, static_cast<size_t>(count), [softcap](auto d, auto x) HWY_ATTR {
    const hn::Rebind<double, decltype(d)> dd;
    const auto cap = hn::Set(dd, static_cast<double>(softcap));
    const auto tanh = hn::Tanh(dd, hn::Div(hn::PromoteTo(dd, x), cap));
    // Highway's Tanh does not promise NaN for NaN.
    return hn::IfThenElse(hn::IsNaN(x), x, hn::DemoteTo(d, hn::Mul(cap, tanh)));
  });
}

float MaxElement(const float* row, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) largest = hn::Max(largest, hn::LoadU(d, row + i));
  float result = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < count; ++i) result = std::max(result, row[i]);
  return result;
}

int64_t TakeAbove(float limit, int64_t count, const float* row, int64_t key, int64_t room,
                  TopEntry* out, int64_t& taken) {
  const hn::CappedTag<float, kTakeStep> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto limits = hn::Set(d, limit);
  taken = 0;
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto above = hn::Gt(hn::LoadU(d, row + i), limits);
    // Most vectors have no element above the limit.
    if (hn::AllFalse(d, above)) continue;
    if (taken + lanes > room) return i;
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, above, bytes);
    for (uint32_t bits = bytes[0] | uint32_t{bytes[1]} << 8; bits != 0; bits &= bits - 1) {
      const int64_t j = i + std::countr_zero(bits);
      out[taken++] = {row[j], static_cast<int32_t>(key + j)};
    }
  }
  for (; i < count && taken < room; ++i) {
    if (row[i] > limit) out[taken++] = {row[i], static_cast<int32_t>(key + i)};
  }
  return i;
}

double ExpAndSum(float max, int64_t count, float* row) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto wide_lanes = static_cast<int64_t>(hn::Lanes(dd));
  const auto maxima = hn::Set(d, max);
  const auto not_attended = hn::Set(d, -std::numeric_limits<float>::infinity());
  const auto weigh = [&](auto scores) {
    const auto difference = hn::Sub(scores, maxima);
    // Highway's Exp does not promise NaN for NaN.
    const auto weights = hn::IfThenElse(hn::IsNaN(difference), difference, hn::Exp(d, difference));
    return hn::IfThenZeroElse(hn::Eq(scores, not_attended), weights);
  };
  HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)];
  auto totals = hn::Zero(dd);
  const auto add_to_totals = [&](auto sums) {
    hn::Store(sums, d, tail);
    for (int64_t lane = 0; lane < lanes; lane += wide_lanes) {
      totals = hn::Add(totals, hn::PromoteTo(dd, hn::LoadU(narrow, tail + lane)));
    }
  };
  // There are two sums, because the latency of an addition is longer than the rest of the loop.
  // After each chain of additions, the sums are added to float64 totals. A chain is short enough to
  // keep its error within 4 units of 2^-24, and long enough to hide the time of adding to the
  // totals.
  const int64_t chain = int64_t{8} * 2 * lanes;
  int64_t i = 0;
  while (i + 2 * lanes <= count) {
    auto sum = hn::Zero(d);
    auto sum2 = hn::Zero(d);
    const int64_t end = std::min(i + chain, count - 2 * lanes + 1);
    for (; i < end; i += 2 * lanes) {
      const auto weights = weigh(hn::LoadU(d, row + i));
      const auto weights2 = weigh(hn::LoadU(d, row + i + lanes));
      hn::StoreU(weights, d, row + i);
      hn::StoreU(weights2, d, row + i + lanes);
      sum = hn::Add(sum, weights);
      sum2 = hn::Add(sum2, weights2);
    }
    add_to_totals(hn::Add(sum, sum2));
  }
  for (; i < count; i += lanes) {
    const int64_t rest = std::min(lanes, count - i);
    std::fill(tail, tail + lanes, -std::numeric_limits<float>::infinity());
    std::copy(row + i, row + i + rest, tail);
    const auto weights = weigh(hn::Load(d, tail));
    hn::Store(weights, d, tail);
    std::copy(tail, tail + rest, row + i);
    add_to_totals(weights);
  }
  return hn::GetLane(hn::SumOfLanes(dd, totals));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(ScaleRow);
HWY_EXPORT(Cap);
HWY_EXPORT(MaxElement);
HWY_EXPORT(TakeAbove);
HWY_EXPORT(ExpAndSum);

void ScaleAndCap(float scale, float softcap, int64_t count, float* row) {
  if (scale != 1.0F) HWY_DYNAMIC_DISPATCH(ScaleRow)(scale, count, row);
  if (softcap > 0.0F) HWY_DYNAMIC_DISPATCH(Cap)(softcap, count, row);
}

float MaxElement(const float* row, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(MaxElement)(row, count);
}

int64_t TakeAbove(float limit, int64_t count, const float* row, int64_t key, int64_t room,
                  TopEntry* out, int64_t& taken) {
  return HWY_DYNAMIC_DISPATCH(TakeAbove)(limit, count, row, key, room, out, taken);
}

double ExpAndSum(float max, int64_t count, float* row) {
  return HWY_DYNAMIC_DISPATCH(ExpAndSum)(max, count, row);
}

void ScaleRow(float factor, int64_t count, float* row) {
  HWY_DYNAMIC_DISPATCH(ScaleRow)(factor, count, row);
}

}  // namespace qkserve
#endif  // HWY_ONCE
