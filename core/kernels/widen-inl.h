// Functions that widen vectors of 16-bit elements, for files that Highway compiles once for every
// instruction set. The functions are exact. Infinities stay infinite and NaN stays NaN.

// clang-format off
#if defined(QKSERVE_CORE_KERNELS_WIDEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKSERVE_CORE_KERNELS_WIDEN_INL_H_
#undef QKSERVE_CORE_KERNELS_WIDEN_INL_H_
#else
#define QKSERVE_CORE_KERNELS_WIDEN_INL_H_
#endif
// clang-format on

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {

// True if the instruction set can convert float16. Without such an instruction, Highway treats
// infinities and NaN as large numbers, and truncates when it narrows.
constexpr bool kHasFloat16 = !(HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2) && HWY_TARGET != HWY_SCALAR &&
                             HWY_TARGET != HWY_EMU128;

// The functions take a tag `d` of float32 and load as many elements as a vector of `d` has. The
// elements need not be aligned.

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> LoadFloat16(D d, const uint16_t* from) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::Rebind<uint16_t, D> dh;
  if constexpr (kHasFloat16) {
    const hn::Rebind<hwy::float16_t, D> df16;
    return hn::PromoteTo(d, hn::BitCast(df16, hn::LoadU(dh, from)));
  }
  // The bits of exponent and fraction move to where float32 has them. A multiplication then
  // corrects the exponent's bias. This is exact, for subnormals too.
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::PromoteTo(du, hn::LoadU(dh, from));
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000)));
  const auto rest = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7FFF)));
  const auto exponent = hn::Set(du, 0x7C00U << 13);
  const auto is_special = hn::Eq(hn::And(rest, exponent), exponent);
  const auto finite = hn::BitCast(du, hn::Mul(hn::BitCast(d, rest), hn::Set(d, 0x1p112F)));
  const auto special = hn::Or(rest, hn::Set(du, 0x7F800000U));
  return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(is_special, special, finite)));
}

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> LoadBfloat16(D d, const uint16_t* from) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(dh, from))));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#endif  // per target
