// Highway compiles this file once for every instruction set and picks a version at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/panel_values.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/kernels/panels.h"
#include "core/kernels/widen-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<Floats>;
constexpr int64_t kLanes = hn::MaxLanes(Floats());

// Tiles are cut as in panel_scores.cc, but from vectors of columns instead of keys: 6 rows x 4
// vectors if the CPU has 32 registers, or 6 x 2 if it has 16. A tile of fewer rows takes more
// columns, because it then has more chains and reads a longer stretch of each value.
constexpr int kRowsMax = 6;
constexpr int kVectors = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM ? 4 : 2;
constexpr int kVectorsWide = 4 * kVectors;  // vectors of a tile of one row

// The keys of a chain. The products of a chain are summed in a register, one after the other. An
// error of one unit is 2^-24 times the sum of the products' magnitudes. The error of a chain is at
// most 12 units, because partial sums are smaller than that sum. At most kBlockKeysMax / kChainKeys
// chains are added in float32, which adds 7 units to the error. Their sums are added in float64.
// Longer chains save little time and have larger errors: a chain of 128 keys has up to 44 units,
// but a context may have at most 33.
constexpr int64_t kChainKeys = 32;

// The most bytes of values in a block, unless kBlockKeysMin keys have more. All rows are multiplied
// with one block of values before the next one, and the block stays in the L2 cache. If there are
// few rows, values are read once and nearly in the order of memory.
constexpr int64_t kBlockBytes = 512 << 10;
constexpr int64_t kBlockKeysMin = kChainKeys;
constexpr int64_t kBlockKeysMax = 512;

// The 16-bit elements of values, as they are stored.
struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

HWY_INLINE FloatVector LoadWide(const float* from) { return hn::LoadU(Floats(), from); }
HWY_INLINE FloatVector LoadWide(const Float16* from) { return LoadFloat16(Floats(), &from->bits); }
HWY_INLINE FloatVector LoadWide(const Bfloat16* from) {
  return LoadBfloat16(Floats(), &from->bits);
}

template <class T>
struct TileArgs {
  const float* weights;
  int64_t weight_stride;
  int64_t keys;
  const T* values;  // each row has sums.columns elements
  ContextSums sums;
  int64_t column = 0;  // the column at which `values` begins

  void SkipRows(int64_t rows) {
    weights += rows * weight_stride;
    sums = sums.From(rows);
  }
  void SkipColumns(int64_t columns) {
    values += columns;
    column += columns;
  }
};

// Adds sums[c] to out[c] for the columns from `begin` to end - 1.
void AddToTotals(const float* sums, int64_t begin, int64_t end, double* out) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = begin;
  for (; c + lanes <= end; c += lanes) {
    const auto more = hn::PromoteTo(d, hn::LoadU(narrow, sums + c));
    hn::StoreU(hn::Add(hn::LoadU(d, out + c), more), d, out + c);
  }
  for (; c < end; ++c) out[c] += static_cast<double>(sums[c]);
}

// Sums one vector of columns for the first row of `args`, without the keys of weight 0. If the sums
// of AddTile are finite, these sums have the same bits.
template <class T>
FloatVector SumAttended(const TileArgs<T>& args) {
  const Floats d;
  auto total = hn::Zero(d);
  for (int64_t begin = 0; begin < args.keys; begin += kChainKeys) {
    auto sum = hn::Zero(d);
    for (int64_t j = begin; j < std::min(begin + kChainKeys, args.keys); ++j) {
      if (args.weights[j] == 0) continue;
      sum = hn::MulAdd(LoadWide(args.values + j * args.sums.columns), hn::Set(d, args.weights[j]),
                       sum);
    }
    total = hn::Add(total, sum);
  }
  return total;
}

// Sums the finite values of the columns from `begin` to end - 1 in float64, whose range is large
// enough for them. Notes infinities and NaN with AddInfinities.
template <class T>
void SumFiniteWide(const TileArgs<T>& args, int64_t begin, int64_t end, double* sums) {
  HWY_ALIGN float value[kLanes];
  float plus[kLanes] = {};
  float minus[kLanes] = {};
  std::fill_n(sums, kLanes, 0.0);
  for (int64_t j = 0; j < args.keys; ++j) {
    const float weight = args.weights[j];
    if (weight == 0) continue;
    hn::Store(LoadWide(args.values + j * args.sums.columns), Floats(), value);
    for (int64_t c = begin; c < end; ++c) {
      if (std::isfinite(value[c])) {
        sums[c] += static_cast<double>(weight) * static_cast<double>(value[c]);
        continue;
      }
      // A NaN is neither below nor above 0, so it counts as both infinities.
      if (!(value[c] < 0)) plus[c] = std::max(plus[c], weight);
      if (!(value[c] > 0)) minus[c] = std::max(minus[c], weight);
    }
  }
  for (int64_t c = begin; c < end; ++c) {
    if (plus[c] > 0 || minus[c] > 0) args.sums.AddInfinities(args.column + c, plus[c], minus[c]);
  }
}

// Sums the columns from `begin` to end - 1 of the first row again. Called if a float32 sum of a
// tile is not finite. The cause is an overflow, or a value that is infinite or NaN, whatever its
// weight is.
template <class T>
HWY_NOINLINE void AddCarefully(TileArgs<T> args, int64_t begin, int64_t end) {
  HWY_ALIGN float sums[kLanes];
  double wide_sums[kLanes] = {};
  for (int64_t first = 0; first < end; first += kLanes) {
    const int64_t c_begin = std::max(begin - first, int64_t{0});
    const int64_t c_end = std::min(end - first, kLanes);
    hn::Store(SumAttended(args), Floats(), sums);
    const bool is_finite =
        std::all_of(sums + c_begin, sums + c_end, [](float sum) { return std::isfinite(sum); });
    if (!is_finite) SumFiniteWide(args, c_begin, c_end, wide_sums);
    for (int64_t c = c_begin; c < c_end; ++c) {
      args.sums.out[args.column + c] +=
          std::isfinite(sums[c]) ? static_cast<double>(sums[c]) : wide_sums[c];
    }
    args.SkipColumns(kLanes);
  }
}

// Computes the sums of kRows rows and kColumnVectors vectors of columns. Adds the sums of the
// columns from `begin` to end - 1 to sums.out.
template <class T, int kRows, int kColumnVectors>
HWY_NOINLINE void AddTile(const TileArgs<T>& args, int64_t begin, int64_t end) {
  const Floats d;
  HWY_ALIGN float totals[kRows][kColumnVectors * kLanes] = {};
  for (int64_t first = 0; first < args.keys; first += kChainKeys) {
    FloatVector sums[kRows][kColumnVectors];
    HWY_UNROLL(6)
    for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(16)
      for (int v = 0; v < kColumnVectors; ++v) sums[r][v] = hn::Zero(d);
    }
    const int64_t last = std::min(first + kChainKeys, args.keys);
    for (int64_t j = first; j < last; ++j) {
      const T* value = args.values + j * args.sums.columns;
      FloatVector columns[kColumnVectors];
      HWY_UNROLL(16)
      for (int v = 0; v < kColumnVectors; ++v) columns[v] = LoadWide(value + v * kLanes);
      HWY_UNROLL(6)
      for (int r = 0; r < kRows; ++r) {
        const auto weight = hn::Set(d, args.weights[r * args.weight_stride + j]);
        HWY_UNROLL(16)
        for (int v = 0; v < kColumnVectors; ++v) {
          sums[r][v] = hn::MulAdd(columns[v], weight, sums[r][v]);
        }
      }
    }
    HWY_UNROLL(6)
    for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(16)
      for (int v = 0; v < kColumnVectors; ++v) {
        float* const total = totals[r] + v * kLanes;
        hn::Store(hn::Add(hn::Load(d, total), sums[r][v]), d, total);
      }
    }
  }
  // If x is not finite, x * 0 is NaN. A NaN stays in the sum.
  auto special = hn::Zero(d);
  for (const auto& row : totals) {
    for (int v = 0; v < kColumnVectors; ++v) {
      special = hn::MulAdd(hn::Load(d, row + v * kLanes), hn::Zero(d), special);
    }
  }
  const bool all_finite = hn::AllFalse(d, hn::IsNaN(special));
  for (int r = 0; r < kRows; ++r) {
    if (all_finite) {
      AddToTotals(totals[r], begin, end, args.sums.From(r).out + args.column);
      continue;
    }
    TileArgs<T> row = args;
    row.SkipRows(r);
    AddCarefully(row, begin, end);
  }
}

// Adds all columns from args.column on. A tile has kColumnVectors vectors of columns; the last
// tiles have fewer.
template <class T, int kRows, int kColumnVectors>
void AddRows(TileArgs<T> args) {
  constexpr int64_t kTileColumns = kColumnVectors * kLanes;
  for (; args.sums.columns - args.column >= kTileColumns; args.SkipColumns(kTileColumns)) {
    AddTile<T, kRows, kColumnVectors>(args, 0, kTileColumns);
  }
  const int64_t columns = args.sums.columns - args.column;
  if (columns == 0) return;
  if constexpr (kColumnVectors > 1) {
    // With one row, each vector is one chain, and many chains are needed. So the number of vectors
    // is halved, not divided by 4.
    constexpr int kFewer = kRows == 1 ? kColumnVectors / 2 : kColumnVectors / 4;
    AddRows<T, kRows, std::max(1, kFewer)>(args);
  } else {
    // The last vector ends where the row ends, so nothing after the row is read. If a row is
    // shorter than a vector, the vector reaches into the next rows (see AddNarrow).
    const int64_t back = args.sums.columns < kLanes ? 0 : kLanes - columns;
    args.SkipColumns(-back);
    AddTile<T, kRows, 1>(args, back, back + columns);
  }
}

// Adds all rows, in as few groups as possible.
template <class T>
void AddBlock(int64_t rows, const TileArgs<T>& block) {
  using Add = void (*)(TileArgs<T> args);
  static constexpr Add kAdd[kRowsMax] = {
      AddRows<T, 1, kVectorsWide>, AddRows<T, 2, kVectorsWide / 2>, AddRows<T, 3, kVectors>,
      AddRows<T, 4, kVectors>,     AddRows<T, 5, kVectors>,         AddRows<T, 6, kVectors>};
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next = (group + 1) * rows / groups;
    TileArgs<T> args = block;
    args.SkipRows(row);
    kAdd[next - row - 1](args);
    row = next;
  }
}

// Adds values whose rows are shorter than a vector. At the last keys, a vector would reach past the
// end of the values. So the values of these keys are copied to a buffer with room after them.
template <class T>
void AddNarrow(int64_t rows, const TileArgs<T>& block) {
  const int64_t columns = block.sums.columns;
  const int64_t unsafe = std::min((kLanes + columns - 1) / columns - 1, block.keys);
  TileArgs<T> args = block;
  args.keys -= unsafe;
  if (args.keys > 0) AddBlock(rows, args);
  T copies[2 * kLanes] = {};  // together, the copied keys have fewer elements than kLanes
  std::memcpy(copies, block.values + args.keys * columns,
              static_cast<size_t>(unsafe * columns) * sizeof(T));
  args.weights += args.keys;
  args.keys = unsafe;
  args.values = copies;
  AddBlock(rows, args);
}

template <class T>
void AddPanelsOf(const float* weights, int64_t weight_stride, int64_t rows,
                 const ValuePanels& values, int64_t key_count, const ContextSums& sums) {
  // The rows of consecutive panels are consecutive, too.
  const int64_t columns = values.columns;
  if (columns == 0) return;
  const int64_t row_bytes = columns * static_cast<int64_t>(sizeof(T));
  const int64_t step =
      std::clamp(kBlockBytes / row_bytes / kChainKeys * kChainKeys, kBlockKeysMin, kBlockKeysMax);
  const auto add = columns < kLanes ? AddNarrow<T> : AddBlock<T>;
  for (int64_t j = 0; j < key_count; j += step) {
    const TileArgs<T> block = {.weights = weights + j,
                               .weight_stride = weight_stride,
                               .keys = std::min(step, key_count - j),
                               .values = reinterpret_cast<const T*>(values.data) + j * columns,
                               .sums = sums};
    add(rows, block);
  }
}

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, const ContextSums& sums) {
  assert(IsFloatType(static_cast<int>(values.type)));
  const auto add = values.type == DataType::kFloat32   ? AddPanelsOf<float>
                   : values.type == DataType::kFloat16 ? AddPanelsOf<Float16>
                                                       : AddPanelsOf<Bfloat16>;
  add(weights, weight_stride, rows, values, key_count, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(AddWeightedPanels);

void ContextSums::AddInfinities(int64_t column, float plus_weight, float minus_weight) const {
  if (!*met) {
    std::fill_n(plus, columns, -std::numeric_limits<float>::infinity());
    std::fill_n(minus, columns, -std::numeric_limits<float>::infinity());
    *met = true;
  }
  // The score that belongs to a weight is *max plus the logarithm of the weight. It is -inf for
  // weight 0.
  const auto score = [&](float weight) {
    return static_cast<float>(*max + std::log(static_cast<double>(weight)));
  };
  plus[column] = std::max(plus[column], score(plus_weight));
  minus[column] = std::max(minus[column], score(minus_weight));
}

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, const ContextSums& sums) {
  HWY_DYNAMIC_DISPATCH(AddWeightedPanels)(weights, weight_stride, rows, values, key_count, sums);
}

}  // namespace qkserve
#endif  // HWY_ONCE
