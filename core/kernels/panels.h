#ifndef QKSERVE_CORE_KERNELS_PANELS_H_
#define QKSERVE_CORE_KERNELS_PANELS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Matrix products with keys and values that were packed once, vectorised for the CPU at hand.
//
// Keys and values are kept in panels of kPanelKeys keys of one [m, d] or [m, dv] matrix, in
// float32, float16 or bfloat16. A panel of keys is transposed: for each element of d the 64 keys
// stand side by side. So a vector holds one element of many keys, and every (query, key) has one
// accumulator. The accumulator sums from element 0 to element d - 1 with fused multiply-adds and
// nothing else. Keys and queries have one NaN alone (nan_bits.h). A score is therefore a function
// of its query, its key and d alone, whatever else is in the call. A panel of values is its rows,
// one after the other, without padding.
//
// Panels of keys are aligned to Buffer::kAlignment. 16-bit elements are widened exactly. Functions
// are thread-safe, and none allocates.

inline constexpr int64_t kPanelKeys = 64;

// The places of keys in a panel are the same on every instruction set. One element of all keys is
// stored
//   in float32 and float16 in the order of the keys;
//   in bfloat16 as 32 pairs of keys i and i + 32. Read as 32-bit numbers (little-endian), pairs are
//   widened without a shuffle: a shift leaves key i, a mask leaves key i + 32.
inline constexpr int64_t kPairDistance = kPanelKeys / 2;
constexpr int64_t KeyInPanelRow(DataType type, int64_t place) {
  return type == DataType::kBfloat16 ? place / 2 + place % 2 * kPairDistance : place;
}
constexpr int64_t PlaceInPanelRow(DataType type, int64_t key) {
  if (type != DataType::kBfloat16) return key;
  return key < kPairDistance ? 2 * key : 2 * (key - kPairDistance) + 1;
}

// `columns` rounded up to 16. If a row has so many float32 or float64, the next row begins at a
// cache line, too.
constexpr int64_t PaddedColumns(int64_t columns) { return (columns + 15) / 16 * 16; }

// Bytes of one panel.
int64_t KeyPanelBytes(DataType type, int64_t d);
int64_t ValuePanelBytes(DataType type, int64_t columns);

// Highway's name of the code path in use, for example AVX3_ZEN4 or AVX2. SelectKernelsOrReexec
// limits it.
absl::string_view PackedKernelName();

// Puts `count` keys in the panel's places first, first + 1, ... (first + count <= kPanelKeys). The
// keys are rows of `d` elements of `type` that follow one another; they need not be aligned. Other
// places stay as they are, so clear a new panel first. Every NaN becomes the one of nan_bits.h.
void PackKeys(DataType type, const std::byte* rows, int64_t count, int64_t d, int64_t first,
              std::byte* panel);

// Puts `count` values in a panel, as PackKeys does.
void PackValues(DataType type, const std::byte* rows, int64_t count, int64_t columns, int64_t first,
                std::byte* panel);

// Panels that follow one another.
struct KeyPanels {
  DataType type = DataType::kFloat32;
  const std::byte* data = nullptr;
  int64_t count = 0;  // panels
  int64_t d = 0;
};

// out[i * out_stride + j] = q_i · k_j for `rows` queries and all count * kPanelKeys places of the
// panels. The queries are rows of d float32 that follow one another, at least 4-byte aligned. If d
// = 0, all products are 0. out_stride >= count * kPanelKeys. `out` is aligned, and out_stride a
// multiple of 16.
void MultiplyPanels(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                    int64_t out_stride);

// Value panels that follow one another, or any rows of `columns` elements that do. Elements need
// only their own alignment.
struct ValuePanels {
  DataType type = DataType::kFloat32;
  const std::byte* data = nullptr;
  int64_t columns = 0;
};

// Panels of one matrix that follow one another in memory.
struct PanelRun {
  KeyPanels keys;
  ValuePanels values;  // not set if there are no values
};

// Sums of weighted values of some rows. Infinities and NaN are kept apart from the sums. For each
// column and sign, only the largest score of a key with such a value is kept: such a key adds
// nothing if its weight is 0 in the end.
struct ContextSums {
  int64_t columns = 0;
  int64_t stride = 0;     // elements from row to row of `out`, `plus` and `minus`
  double* out = nullptr;  // the sums of finite values
  double* max = nullptr;  // each row's score whose weight is 1
  double* sum = nullptr;  // each row's sum of weights; only the caller uses it
  // True for each row that met a value that is not finite. `plus` and `minus` are written only
  // then.
  bool* met = nullptr;
  // For each row and column, the largest score of a key whose value is +infinity (`plus`) or
  // -infinity (`minus`); -inf if there is no such key. A NaN counts in both.
  float* plus = nullptr;
  float* minus = nullptr;

  // The sums of row `row` and the rows after it.
  ContextSums From(int64_t row) const {
    const int64_t at = row * stride;
    return {columns, stride, out + at, max + row, sum + row, met + row, plus + at, minus + at};
  }

  // Notes that the first row met infinite values or NaN in `column`. `plus_weight` is the largest
  // weight of a key whose value is above 0 or NaN. `minus_weight` is that of a key whose value is
  // below 0 or NaN. 0: there is no such key.
  void AddInfinities(int64_t column, float plus_weight, float minus_weight) const;
};

// sums.out[i][c] += weights[i * weight_stride + j] * v_j[c] for `rows` rows, the first `key_count`
// keys and all columns, as far as values are finite. Infinities and NaN are noted (AddInfinities).
// A value adds nothing if its weight is 0.
//
// Sums are float32 over short chains of keys, and float64 from there on. The error of what a call
// adds is below 1.2e-6 * sum of |w v|, whatever the number of keys. A float32 sum that is not
// finite is computed anew in float64, so finite values overflow nothing. An element's bits depend
// on its row of weights, its column of values, the length of a row, and the number of the call's
// keys.
void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, const ContextSums& sums);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KERNELS_PANELS_H_
