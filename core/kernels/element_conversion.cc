// Highway compiles this file once for every instruction set and picks a version at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/element_conversion.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "core/kernels/element_conversion.h"

#include <cassert>
#include <cstring>

#include "core/kernels/nan_bits.h"
#include "core/kernels/widen-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

// Applies `convert(source, target)`, which converts `lanes` elements, to all elements. The last few
// elements are converted in a padded copy.
template <class From, class To, class Convert>
void ConvertAll(size_t lanes, const From* from, int64_t count, To* to, const Convert& convert) {
  const auto step = static_cast<int64_t>(lanes);
  int64_t i = 0;
  for (; i + step <= count; i += step) convert(from + i, to + i);
  if (i == count) return;
  const auto rest = static_cast<size_t>(count - i);
  From source[kMaxLanes] = {};
  To target[kMaxLanes];
  std::memcpy(source, from + i, rest * sizeof(From));
  convert(source, target);
  std::memcpy(to + i, target, rest * sizeof(To));
}

void Float16ToFloat32(const uint16_t* from, int64_t count, float* to) {
  const hn::ScalableTag<float> df;
  ConvertAll(hn::Lanes(df), from, count, to, [&](const uint16_t* source, float* target) {
    hn::StoreU(LoadFloat16(df, source), df, target);
  });
}

void Bfloat16ToFloat32(const uint16_t* from, int64_t count, float* to) {
  const hn::ScalableTag<float> df;
  ConvertAll(hn::Lanes(df), from, count, to, [&](const uint16_t* source, float* target) {
    hn::StoreU(LoadBfloat16(df, source), df, target);
  });
}

// Returns the nearest float16, ties to even. The CPU's instruction gives the same result, except
// for the payload of a NaN.
template <class D>
HWY_INLINE auto RoundToFloat16(D df, hn::Vec<D> value) {
  const hn::RebindToSigned<D> di;
  const auto bits = hn::BitCast(di, value);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(di, 0x8000));
  const auto magnitude = hn::And(bits, hn::Set(di, 0x7FFFFFFF));
  // The lowest 13 bits are dropped. Adding 0x1000 if the last kept bit is 1, else 0xFFF, rounds to
  // nearest, ties to even. The same addition changes the bias of the exponent from 127 to 15.
  const auto last_kept = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(di, 1));
  const auto to_add = hn::Add(last_kept, hn::Set(di, 0xFFF - ((127 - 15) << 23)));
  const auto normal = hn::ShiftRight<13>(hn::Add(magnitude, to_add));
  // The last bit of 0.5F is worth one unit of subnormal float16, so adding 0.5 rounds to whole
  // units.
  const auto half = hn::Set(df, 0.5F);
  const auto subnormal =
      hn::Sub(hn::BitCast(di, hn::Add(hn::Abs(value), half)), hn::BitCast(di, half));
  const auto is_normal = hn::Gt(magnitude, hn::Set(di, 0x387FFFFF));  // 2^-14 or more
  const auto number = hn::Min(hn::IfThenElse(is_normal, normal, subnormal), hn::Set(di, 0x7C00));
  const auto is_nan = hn::Gt(magnitude, hn::Set(di, 0x7F800000));
  return hn::Or(sign, hn::IfThenElse(is_nan, hn::Set(di, 0x7E00), number));
}

void Float32ToFloat16(const float* from, int64_t count, uint16_t* to) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Rebind<uint16_t, decltype(df)> du;
  ConvertAll(hn::Lanes(df), from, count, to, [&](const float* source, uint16_t* target) {
    const auto value = hn::LoadU(df, source);
    if constexpr (kHasFloat16) {
      hn::StoreU(hn::BitCast(du, hn::DemoteTo(dh, value)), du, target);
    } else {
      hn::StoreU(hn::DemoteTo(du, RoundToFloat16(df, value)), du, target);
    }
  });
}

void Float32ToBfloat16(const float* from, int64_t count, uint16_t* to) {
  const hn::ScalableTag<float> df;
  const hn::ScalableTag<uint32_t> du;
  const hn::ScalableTag<int32_t> di;
  const hn::Rebind<uint16_t, decltype(du)> dh;
  ConvertAll(hn::Lanes(df), from, count, to, [&](const float* source, uint16_t* target) {
    const auto value = hn::LoadU(df, source);
    const auto bits = hn::BitCast(du, value);
    // Half a unit of the last kept bit is added, or 1 less if that bit is 0. This rounds ties to
    // even.
    const auto last_kept = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(bits, hn::Add(last_kept, hn::Set(du, 0x7FFF)));
    // Rounding could turn a NaN into infinity. Instead, a mantissa bit is set, which keeps the NaN.
    const auto quiet_nan = hn::Or(bits, hn::Set(du, 0x400000));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(value));
    const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet_nan, rounded));
    // DemoteTo saturates. It changes no value here, because all values are at most 0xFFFF.
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, upper)), dh, target);
  });
}

void UnifyNan(float* values, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto nan = hn::BitCast(
      d, hn::Set(hn::RebindToUnsigned<decltype(d)>(), NanBitsOf(DataType::kFloat32).nan));
  ConvertAll(hn::Lanes(d), values, count, values, [&](const float* source, float* target) {
    const auto value = hn::LoadU(d, source);
    hn::StoreU(hn::IfThenElse(hn::IsNaN(value), nan, value), d, target);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(Float16ToFloat32);
HWY_EXPORT(Float32ToFloat16);
HWY_EXPORT(Bfloat16ToFloat32);
HWY_EXPORT(Float32ToBfloat16);
HWY_EXPORT(UnifyNan);

void UnifyNan(float* values, int64_t count) { HWY_DYNAMIC_DISPATCH(UnifyNan)(values, count); }

void ConvertToFloat32(DataType type, const std::byte* from, int64_t count, float* to) {
  assert(IsFloatType(static_cast<int>(type)));
  if (count == 0) return;  // without elements, the pointers may be null
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  if (type == DataType::kFloat32) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DataType::kFloat16) {
    HWY_DYNAMIC_DISPATCH(Float16ToFloat32)(halves, count, to);
  } else {
    HWY_DYNAMIC_DISPATCH(Bfloat16ToFloat32)(halves, count, to);
  }
}

void ConvertFromFloat32(DataType type, const float* from, int64_t count, std::byte* to) {
  assert(IsFloatType(static_cast<int>(type)));
  if (count == 0) return;
  auto* halves = reinterpret_cast<uint16_t*>(to);
  if (type == DataType::kFloat32) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DataType::kFloat16) {
    HWY_DYNAMIC_DISPATCH(Float32ToFloat16)(from, count, halves);
  } else {
    HWY_DYNAMIC_DISPATCH(Float32ToBfloat16)(from, count, halves);
  }
}

}  // namespace qkserve
#endif  // HWY_ONCE
