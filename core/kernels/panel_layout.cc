// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/panel_layout.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "core/kernels/panel_layout.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Elements of all rows that are packed before the next ones: what one cache line has of each row,
// and as many lines of the panel. Every line then is in the L1 cache from its first touch to its
// last.
template <class T>
constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));

// Elements that are transposed together: a whole number of vectors of 16 bytes.
constexpr int64_t kStep = 8;

// Fetches, for a key of `count` whose elements from p on are packed now, the line after those and a
// line of the panel that will be written then: rows are too many streams for the hardware to see
// where each goes on. After the last elements come, most likely, rows that follow these.
template <class T>
void FetchAhead(const T* rows, int64_t key, int64_t count, int64_t d, int64_t p, const T* panel) {
  const int64_t next = p + kLineElements<T>;
  __builtin_prefetch(next < d ? rows + key * d + next : rows + (count + key) * d, 0, 2);
  __builtin_prefetch(panel + next * kPanelKeys + key * kLineElements<T>, 1, 3);
}

#if HWY_TARGET != HWY_SCALAR

using Words = hn::FixedTag<uint32_t, 4>;
using WordVector = hn::Vec<Words>;

// Rows of a 4 x 4 matrix become its columns and are stored `stride` words apart.
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

// Elements p to end - 1, a multiple of kStep, of four 32-bit keys that follow one another.
void PackFourKeys(const uint32_t* row, int64_t d, int64_t p, int64_t end, uint32_t* to) {
  const Words words;
  for (; p < end; p += 4) {
    const auto load = [&](int64_t i) { return hn::LoadU(words, row + i * d + p); };
    StoreTransposed(load(0), load(1), load(2), load(3), to + p * kPanelKeys, kPanelKeys);
  }
}

// The same for four pairs of 16-bit keys: pair i has keys i * step and i * step + distance.
void PackFourPairs(const uint16_t* row, int64_t d, int64_t step, int64_t distance, int64_t p,
                   int64_t end, uint16_t* to) {
  const Words words;
  const hn::Repartition<uint16_t, Words> halves;
  const int64_t stride = kPanelKeys / 2;
  for (; p < end; p += 8) {
    const auto load = [&](int64_t i) { return hn::LoadU(halves, row + i * d + p); };
    const auto low = [&](int64_t i) {
      const auto pairs = hn::InterleaveLower(halves, load(i * step), load(i * step + distance));
      return hn::BitCast(words, pairs);
    };
    const auto high = [&](int64_t i) {
      const auto pairs = hn::InterleaveUpper(halves, load(i * step), load(i * step + distance));
      return hn::BitCast(words, pairs);
    };
    auto* target = reinterpret_cast<uint32_t*>(to + p * kPanelKeys);
    StoreTransposed(low(0), low(1), low(2), low(3), target, stride);
    StoreTransposed(high(0), high(1), high(2), high(3), target + 4 * stride, stride);
  }
}

#endif  // HWY_TARGET != HWY_SCALAR

// Elements p to end - 1 of keys begin to count - 1, which go to places first + begin and on.
template <class T>
void ScatterKeys(DataType type, const T* rows, int64_t begin, int64_t count, int64_t d, int64_t p,
                 int64_t end, int64_t first, T* panel) {
  for (int64_t i = begin; i < count; ++i) {
    const auto* from = reinterpret_cast<const std::byte*>(rows + i * d);
    T* to = panel + PlaceInPanelRow(type, first + i);
    for (int64_t e = p; e < end; ++e) {
      // Rows may not be aligned.
      std::memcpy(to + e * kPanelKeys, from + e * static_cast<int64_t>(sizeof(T)), sizeof(T));
    }
  }
}

void PackKeys32(const uint32_t* rows, int64_t count, int64_t d, int64_t first, uint32_t* panel) {
  constexpr auto kType = DataType::kFloat32;
  for (int64_t p = 0; p < d; p += kLineElements<uint32_t>) {
    const int64_t end = std::min(d, p + kLineElements<uint32_t>);
    int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    const int64_t whole = p + (end - p) / kStep * kStep;
    for (; i + 4 <= count; i += 4) {
      for (int64_t key = i; key < i + 4; ++key) FetchAhead(rows, key, count, d, p, panel);
      PackFourKeys(rows + i * d, d, p, whole, panel + first + i);
    }
    ScatterKeys(kType, rows, 0, i, d, whole, end, first, panel);
#endif
    ScatterKeys(kType, rows, i, count, d, p, end, first, panel);
  }
}

void PackKeys16(DataType type, const uint16_t* rows, int64_t count, int64_t d, int64_t first,
                uint16_t* panel) {
  for (int64_t p = 0; p < d; p += kLineElements<uint16_t>) {
    const int64_t end = std::min(d, p + kLineElements<uint16_t>);
    int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    // Pair `pair` is of keys pair * step and pair * step + distance, see PlaceInPanelRow. Pairs of
    // bfloat16 come together only where all keys of a panel do.
    const bool is_bfloat16 = type == DataType::kBfloat16;
    const int64_t step = is_bfloat16 ? 1 : 2;
    const int64_t distance = is_bfloat16 ? kPairDistance : 1;
    const int64_t pairs = is_bfloat16 && count < kPanelKeys ? 0 : count / 2;
    const int64_t whole = p + (end - p) / kStep * kStep;
    for (int64_t pair = 0; pair + 4 <= pairs; pair += 4) {
      for (int64_t key = pair * step; key < (pair + 4) * step; key += step) {
        FetchAhead(rows, key, count, d, p, panel);
        FetchAhead(rows, key + distance, count, d, p, panel);
      }
      PackFourPairs(rows + pair * step * d, d, step, distance, p, whole, panel + first + 2 * pair);
      i = 2 * (pair + 4);
    }
    ScatterKeys(type, rows, 0, i, d, whole, end, first, panel);
#endif
    ScatterKeys(type, rows, i, count, d, p, end, first, panel);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(PackKeys32);
HWY_EXPORT(PackKeys16);

int64_t KeyPanelBytes(DataType type, int64_t d) { return kPanelKeys * d * ElementBytes(type); }

int64_t ValuePanelBytes(DataType type, int64_t columns) {
  return kPanelKeys * columns * ElementBytes(type);
}

void PackKeys(DataType type, const std::byte* rows, int64_t count, int64_t d, int64_t first,
              std::byte* panel) {
  assert(IsFloatType(static_cast<int>(type)));
  assert(first >= 0 && count >= 0 && first + count <= kPanelKeys);
  if (type == DataType::kFloat32) {
    HWY_DYNAMIC_DISPATCH(PackKeys32)
    (reinterpret_cast<const uint32_t*>(rows), count, d, first, reinterpret_cast<uint32_t*>(panel));
  } else {
    HWY_DYNAMIC_DISPATCH(PackKeys16)
    (type, reinterpret_cast<const uint16_t*>(rows), count, d, first,
     reinterpret_cast<uint16_t*>(panel));
  }
}

void PackValues(DataType type, const std::byte* rows, int64_t count, int64_t columns, int64_t first,
                std::byte* panel) {
  assert(IsFloatType(static_cast<int>(type)));
  assert(first >= 0 && count >= 0 && first + count <= kPanelKeys);
  const int64_t row_bytes = columns * ElementBytes(type);
  // Without columns there may be no memory.
  if (count == 0 || row_bytes == 0) return;
  std::memcpy(panel + first * row_bytes, rows, static_cast<size_t>(count * row_bytes));
}

}  // namespace qkserve
#endif  // HWY_ONCE
