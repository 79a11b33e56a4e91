#ifndef QKSERVE_CORE_KERNELS_PANELS_H_
#define QKSERVE_CORE_KERNELS_PANELS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Matrix products with keys and values that were packed once, vectorised for the CPU at hand.
//
// Keys and values are kept in panels of kPanelKeys rows of one matrix, [m, d] or [m, dv]. Elements
// are float32, float16 or bfloat16. A panel of keys is transposed: for each p below d, element p of
// all 64 keys is stored side by side. So a vector holds one element of many keys, and every pair of
// query and key has one accumulator. The accumulator sums elements 0 to d - 1 in order, only with
// fused multiply-adds. Keys and queries contain only one NaN (nan_bits.h). A product therefore
// depends on its query, its key and d alone, whatever else is in the call. A panel of values holds
// its rows one after the other, without padding.
//
// Panels of keys are aligned to Buffer::kAlignment. 16-bit elements are widened exactly. The
// functions are thread-safe and allocate no memory.

inline constexpr int64_t kPanelKeys = 64;

// The places of keys in a panel are the same on every instruction set. For each element of d, a
// panel stores this element of all keys:
//   - float32 and float16: in the order of the keys;
//   - bfloat16: as 32 pairs of keys i and i + 32. A pair is read as a 32-bit number (little-endian)
//     and widened without a shuffle: a shift leaves key i, a mask leaves key i + 32.
inline constexpr int64_t kPairDistance = kPanelKeys / 2;
constexpr int64_t KeyInPanelRow(DataType type, int64_t place) {
  return type == DataType::kBfloat16 ? place / 2 + place % 2 * kPairDistance : place;
}
constexpr int64_t PlaceInPanelRow(DataType type, int64_t key) {
  if (type != DataType::kBfloat16) return key;
  return key < kPairDistance ? 2 * key : 2 * (key - kPairDistance) + 1;
}

// Returns `columns` rounded up to a multiple of 16. If rows of float32 or float64 have this many
// elements and the first row begins at a cache line, every row begins at one.
constexpr int64_t PaddedColumns(int64_t columns) { return (columns + 15) / 16 * 16; }

// Return the bytes of one panel of keys, and of one panel of values.
int64_t KeyPanelBytes(DataType type, int64_t d);
int64_t ValuePanelBytes(DataType type, int64_t columns);

// Returns Highway's name for the code path in use, for example AVX3_ZEN4 or AVX2.
// SelectKernelsOrReexec limits the choice.
absl::string_view PackedKernelName();

// Puts `count` keys in the panel's places first, first + 1, ... (first + count <= kPanelKeys). The
// keys are consecutive rows of `d` elements of `type`; they need not be aligned. Other places keep
// their contents, so clear a new panel first. Every NaN becomes the NaN of nan_bits.h.
void PackKeys(DataType type, const std::byte* rows, int64_t count, int64_t d, int64_t first,
              std::byte* panel);

// Copies `count` values to the panel's places first, first + 1, ... (first + count <= kPanelKeys).
// The values are consecutive rows of `columns` elements of `type`.
void PackValues(DataType type, const std::byte* rows, int64_t count, int64_t columns, int64_t first,
                std::byte* panel);

// Consecutive panels of keys.
struct KeyPanels {
  DataType type = DataType::kFloat32;
  const std::byte* data = nullptr;
  int64_t count = 0;  // panels
  int64_t d = 0;
};

// Computes out[i * out_stride + j] = q_i · k_j for `rows` queries and all count * kPanelKeys places
// of the panels. The queries are consecutive rows of d float32, at least 4-byte aligned. If d = 0,
// all products are 0. `out` is aligned. out_stride is a multiple of 16, and at least count *
// kPanelKeys.
void MultiplyPanels(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                    int64_t out_stride);

// Consecutive panels of values, or any consecutive rows of `columns` elements. The data need only
// be aligned to an element.
struct ValuePanels {
  DataType type = DataType::kFloat32;
  const std::byte* data = nullptr;
  int64_t columns = 0;
};

// Panels of one matrix that are consecutive in memory.
struct PanelRun {
  KeyPanels keys;
  ValuePanels values;  // not set if there are no values
};

// The sums of weighted values of some rows. Infinities and NaN are not added to the sums, because a
// key with such a value must add nothing if its final weight is 0. Instead, the largest score of a
// key with such a value is kept for each row, column and sign.
struct ContextSums {
  int64_t columns = 0;
  int64_t stride = 0;     // elements from row to row of `out`, `plus` and `minus`
  double* out = nullptr;  // the sums of finite values
  double* max = nullptr;  // for each row, the score whose weight is 1
  double* sum = nullptr;  // each row's sum of weights; only the caller uses it
  // True for each row that has met an infinity or NaN. `plus` and `minus` are written only for such
  // rows.
  bool* met = nullptr;
  // For each row and column, the largest score of a key whose value is +infinity (`plus`) or
  // -infinity (`minus`); -inf if there is no such key. A NaN counts as both.
  float* plus = nullptr;
  float* minus = nullptr;

  // Returns the sums of row `row` and the rows after it.
  ContextSums From(int64_t row) const {
    const int64_t at = row * stride;
    return {columns, stride, out + at, max + row, sum + row, met + row, plus + at, minus + at};
  }

  // Notes that the first row has met infinities or NaN in `column`. `plus_weight` is the largest
  // weight of a key whose value is +infinity or NaN. `minus_weight` is the largest weight of a key
  // whose value is -infinity or NaN. A weight of 0 means that there is no such key.
  void AddInfinities(int64_t column, float plus_weight, float minus_weight) const;
};

// Adds weights[i * weight_stride + j] * v_j[c] to sums.out[i][c] for `rows` rows, the first
// `key_count` keys and all columns. Infinities and NaN are not added but noted (AddInfinities). A
// value adds nothing if its weight is 0.
//
// Short runs of keys are summed in float32, and these sums are added in float64. The error of the
// sum that a call adds is below 1.2e-6 * sum of |w v|, whatever the number of keys. If a float32
// sum is not finite, it is computed again in float64, whose range is large enough for finite
// values. The bits of an element depend on its row of weights, its column of values, the number of
// columns, and the number of the call's keys.
void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, const ContextSums& sums);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_PANELS_H_
