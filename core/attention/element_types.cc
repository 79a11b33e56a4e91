// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/element_types.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "core/attention/element_types.h"

#include <cassert>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Runs `vector_body(i)` over whole vectors and `tail(i, rest)` once for what is left.
template <class D, class Body, class Tail>
void ForEachVector(D d, int64_t count, const Body& vector_body, const Tail& tail) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) vector_body(i);
  if (i < count) tail(i, static_cast<size_t>(count - i));
}

constexpr size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

void Float16ToFloat32(const uint16_t* from, int64_t count, float* to) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Rebind<uint16_t, decltype(df)> du;
  const auto widen = [&](const uint16_t* source, float* target) {
    hn::StoreU(hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(du, source))), df, target);
  };
  ForEachVector(
      df, count, [&](int64_t i) { widen(from + i, to + i); },
      [&](int64_t i, size_t rest) {
        uint16_t source[kMaxLanes] = {};
        float target[kMaxLanes];
        std::memcpy(source, from + i, rest * sizeof(uint16_t));
        widen(source, target);
        std::memcpy(to + i, target, rest * sizeof(float));
      });
}

void Float32ToFloat16(const float* from, int64_t count, uint16_t* to) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Rebind<uint16_t, decltype(df)> du;
  const auto narrow = [&](const float* source, uint16_t* target) {
    hn::StoreU(hn::BitCast(du, hn::DemoteTo(dh, hn::LoadU(df, source))), du, target);
  };
  ForEachVector(
      df, count, [&](int64_t i) { narrow(from + i, to + i); },
      [&](int64_t i, size_t rest) {
        float source[kMaxLanes] = {};
        uint16_t target[kMaxLanes];
        std::memcpy(source, from + i, rest * sizeof(float));
        narrow(source, target);
        std::memcpy(to + i, target, rest * sizeof(uint16_t));
      });
}

void Bfloat16ToFloat32(const uint16_t* from, int64_t count, float* to) {
  const hn::ScalableTag<uint32_t> du;
  const hn::Rebind<uint16_t, decltype(du)> dh;
  const hn::ScalableTag<float> df;
  ForEachVector(
      du, count,
      [&](int64_t i) {
        const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, from + i)));
        hn::StoreU(hn::BitCast(df, bits), df, to + i);
      },
      [&](int64_t i, size_t rest) {
        for (size_t j = 0; j < rest; ++j) {
          const uint32_t bits = static_cast<uint32_t>(from[i + j]) << 16;
          std::memcpy(to + i + j, &bits, sizeof(bits));
        }
      });
}

void Float32ToBfloat16(const float* from, int64_t count, uint16_t* to) {
  const hn::ScalableTag<float> df;
  const hn::ScalableTag<uint32_t> du;
  const hn::ScalableTag<int32_t> di;
  const hn::Rebind<uint16_t, decltype(du)> dh;
  const auto narrow = [&](const float* source, uint16_t* target) {
    const auto value = hn::LoadU(df, source);
    const auto bits = hn::BitCast(du, value);
    // Half a unit in the last place, less one where the last kept bit is even: ties go to even.
    const auto last_kept = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(bits, hn::Add(last_kept, hn::Set(du, 0x7FFF)));
    // Rounding could carry a NaN into infinity; setting a mantissa bit keeps it NaN instead.
    const auto quiet_nan = hn::Or(bits, hn::Set(du, 0x400000));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(value));
    const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet_nan, rounded));
    // At most 0xFFFF, so the saturating narrowing of a signed value changes nothing.
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, upper)), dh, target);
  };
  ForEachVector(
      df, count, [&](int64_t i) { narrow(from + i, to + i); },
      [&](int64_t i, size_t rest) {
        float source[kMaxLanes] = {};
        uint16_t target[kMaxLanes];
        std::memcpy(source, from + i, rest * sizeof(float));
        narrow(source, target);
        std::memcpy(to + i, target, rest * sizeof(uint16_t));
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

void ConvertToFloat32(DataType type, const std::byte* from, int64_t count, float* to) {
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  switch (type) {
    case DataType::kFloat32:
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
      return;
    case DataType::kFloat16:
      HWY_DYNAMIC_DISPATCH(Float16ToFloat32)(halves, count, to);
      return;
    case DataType::kBfloat16:
      HWY_DYNAMIC_DISPATCH(Bfloat16ToFloat32)(halves, count, to);
      return;
    case DataType::kBool:
    case DataType::kInt32:
      break;
  }
  assert(false && "not a float type");
}

void ConvertFromFloat32(DataType type, const float* from, int64_t count, std::byte* to) {
  auto* halves = reinterpret_cast<uint16_t*>(to);
  switch (type) {
    case DataType::kFloat32:
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
      return;
    case DataType::kFloat16:
      HWY_DYNAMIC_DISPATCH(Float32ToFloat16)(from, count, halves);
      return;
    case DataType::kBfloat16:
      HWY_DYNAMIC_DISPATCH(Float32ToBfloat16)(from, count, halves);
      return;
    case DataType::kBool:
    case DataType::kInt32:
      break;
  }
  assert(false && "not a float type");
}

}  // namespace qkserve
#endif  // HWY_ONCE
