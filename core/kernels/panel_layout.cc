// Highway compiles this file once for every instruction set and picks a version at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/panel_layout.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "core/kernels/nan_bits.h"
#include "core/kernels/panels.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Prefetches the next cache line of key `key`. Called while the key's line that begins with element
// p is packed, because the hardware does not prefetch as many streams as there are rows. Also
// prefetches one of the panel's lines for the next round (PackKeysOf). The calls for all keys of a
// full panel prefetch all lines of that round. At the end of a row, prefetches the beginning of row
// key + count, because that row is probably packed next.
template <class T>
void FetchAhead(const T* rows, int64_t key, int64_t count, int64_t d, int64_t p, const T* panel) {
  constexpr int64_t kLineElements = 64 / sizeof(T);
  const int64_t next = p + kLineElements;
  __builtin_prefetch(next < d ? rows + key * d + next : rows + (count + key) * d, 0, 2);
  __builtin_prefetch(panel + next * kPanelKeys + key * kLineElements, 1, 3);
}

#if HWY_TARGET == HWY_SCALAR

template <class T>
void PackGroup(DataType /*type*/, const T* /*row*/, int64_t /*d*/, int64_t /*p*/, int64_t /*end*/,
               T* /*to*/) {}

#else

using Words = hn::FixedTag<uint32_t, 4>;
using WordVector = hn::Vec<Words>;

// Returns the elements with every NaN replaced by bits.nan.
template <class D>
HWY_INLINE hn::Vec<D> UnifyNan(D d, const NanBits& bits, hn::Vec<D> elements) {
  const hn::RebindToSigned<D> di;
  using T = hn::TFromD<decltype(di)>;
  const auto magnitudes =
      hn::And(hn::BitCast(di, elements), hn::Set(di, static_cast<T>(bits.magnitude)));
  const auto is_nan = hn::Gt(magnitudes, hn::Set(di, static_cast<T>(bits.infinity)));
  return hn::IfThenElse(hn::RebindMask(d, is_nan), hn::Set(d, static_cast<hn::TFromD<D>>(bits.nan)),
                        elements);
}

// Transposes a 4 x 4 matrix and stores its new rows `stride` words apart.
void StoreTransposed(WordVector r0, WordVector r1, WordVector r2, WordVector r3, uint32_t* to,
                     int64_t stride) {
  const Words d;
  const hn::RepartitionToWide<Words> dw;
  const auto wide = [&](WordVector v) { return hn::BitCast(dw, v); };
  const auto low01 = wide(hn::InterleaveLower(d, r0, r1));
  const auto low23 = wide(hn::InterleaveLower(d, r2, r3));
  const auto high01 = wide(hn::InterleaveUpper(d, r0, r1));
  const auto high23 = wide(hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, low01, low23)), d, to + stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, high01, high23)), d, to + 2 * stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, high01, high23)), d, to + 3 * stride);
}

// Packs elements p to end - 1 of 4 consecutive keys with elements of 32 bits. end - p is a multiple
// of 8. `row` is the first key.
void PackGroup(DataType type, const uint32_t* row, int64_t d, int64_t p, int64_t end,
               uint32_t* to) {
  const NanBits bits = NanBitsOf(type);
  for (; p < end; p += 4) {
    const auto load = [&](int64_t i) {
      return UnifyNan(Words(), bits, hn::LoadU(Words(), row + i * d + p));
    };
    StoreTransposed(load(0), load(1), load(2), load(3), to + p * kPanelKeys, kPanelKeys);
  }
}

// Packs 8 keys with elements of 16 bits, in four pairs.
void PackGroup(DataType type, const uint16_t* row, int64_t d, int64_t p, int64_t end,
               uint16_t* to) {
  const Words words;
  const hn::Repartition<uint16_t, Words> halves;
  const NanBits bits = NanBitsOf(type);
  constexpr int64_t kStride = kPanelKeys / 2;
  const int64_t in_pair = KeyInPanelRow(type, 1) * d;
  const int64_t pair = KeyInPanelRow(type, 2) * d;
  for (; p < end; p += 8) {
    const auto load = [&](int64_t at) {
      return UnifyNan(halves, bits, hn::LoadU(halves, row + at + p));
    };
    const auto low = [&](int64_t i) {
      return hn::BitCast(words,
                         hn::InterleaveLower(halves, load(i * pair), load(i * pair + in_pair)));
    };
    const auto high = [&](int64_t i) {
      return hn::BitCast(words,
                         hn::InterleaveUpper(halves, load(i * pair), load(i * pair + in_pair)));
    };
    auto* target = reinterpret_cast<uint32_t*>(to + p * kPanelKeys);
    StoreTransposed(low(0), low(1), low(2), low(3), target, kStride);
    StoreTransposed(high(0), high(1), high(2), high(3), target + 4 * kStride, kStride);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

// Packs elements p to end - 1 of keys begin to count - 1 into the places from first + begin on.
template <class T>
void ScatterKeys(DataType type, const T* rows, int64_t begin, int64_t count, int64_t d, int64_t p,
                 int64_t end, int64_t first, T* panel) {
  const NanBits bits = NanBitsOf(type);
  for (int64_t i = begin; i < count; ++i) {
    // Rows need not be aligned.
    const auto* from = reinterpret_cast<const std::byte*>(rows + i * d);
    T* to = panel + PlaceInPanelRow(type, first + i);
    for (int64_t e = p; e < end; ++e) {
      T element;
      std::memcpy(&element, from + e * sizeof(T), sizeof(T));
      const bool is_nan = (element & bits.magnitude) > bits.infinity;
      to[e * kPanelKeys] = is_nan ? static_cast<T>(bits.nan) : element;
    }
  }
}

// Packs the first cache line of every row, then the second line of every row, and so on. One such
// round writes at most 64 lines of the panel, which stay in the L1 cache until the round ends.
template <class T>
void PackKeysOf(DataType type, const T* rows, int64_t count, int64_t d, int64_t first, T* panel) {
  constexpr int64_t kLineElements = 64 / sizeof(T);
  constexpr int64_t kGroup = 16 / sizeof(T);
  // Several keys can be packed together if their places are consecutive. In bfloat16 the places are
  // consecutive only if the keys fill the panel.
  const bool is_whole =
      HWY_TARGET != HWY_SCALAR && (type != DataType::kBfloat16 || count == kPanelKeys);
  const int64_t grouped = is_whole ? count / kGroup * kGroup : 0;
  for (int64_t p = 0; p < d; p += kLineElements) {
    const int64_t end = std::min(d, p + kLineElements);
    const int64_t whole = p + (end - p) / 8 * 8;
    for (int64_t place = 0; place < grouped; place += kGroup) {
      for (int64_t i = 0; i < kGroup; ++i) {
        FetchAhead(rows, KeyInPanelRow(type, place + i), count, d, p, panel);
      }
      PackGroup(type, rows + KeyInPanelRow(type, place) * d, d, p, whole, panel + first + place);
    }
    ScatterKeys(type, rows, 0, grouped, d, whole, end, first, panel);
    ScatterKeys(type, rows, grouped, count, d, p, end, first, panel);
  }
}

void PackKeys(DataType type, const std::byte* rows, int64_t count, int64_t d, int64_t first,
              std::byte* panel) {
  if (type == DataType::kFloat32) {
    PackKeysOf(type, reinterpret_cast<const uint32_t*>(rows), count, d, first,
               reinterpret_cast<uint32_t*>(panel));
  } else {
    PackKeysOf(type, reinterpret_cast<const uint16_t*>(rows), count, d, first,
               reinterpret_cast<uint16_t*>(panel));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(PackKeys);

int64_t KeyPanelBytes(DataType type, int64_t d) { return kPanelKeys * d * ElementBytes(type); }

int64_t ValuePanelBytes(DataType type, int64_t columns) {
  return kPanelKeys * columns * ElementBytes(type);
}

void PackKeys(DataType type, const std::byte* rows, int64_t count, int64_t d, int64_t first,
              std::byte* panel) {
  assert(IsFloatType(static_cast<int>(type)));
  assert(first >= 0 && count >= 0 && first + count <= kPanelKeys);
  HWY_DYNAMIC_DISPATCH(PackKeys)(type, rows, count, d, first, panel);
}

void PackValues(DataType type, const std::byte* rows, int64_t count, int64_t columns, int64_t first,
                std::byte* panel) {
  assert(IsFloatType(static_cast<int>(type)));
  assert(first >= 0 && count >= 0 && first + count <= kPanelKeys);
  const int64_t row_bytes = columns * ElementBytes(type);
  // If there are no columns, the pointers may be null.
  if (count == 0 || row_bytes == 0) return;
  std::memcpy(panel + first * row_bytes, rows, static_cast<size_t>(count * row_bytes));
}

}  // namespace qkserve
#endif  // HWY_ONCE
