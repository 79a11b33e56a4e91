// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/packed_values.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/attention/packed_kernel.h"
#include "core/attention/widen-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<Floats>;
constexpr int64_t kLanes = hn::MaxLanes(Floats());

// As in packed_kernel.cc, with vectors of columns: 6 rows x 4 of 32 registers, 6 x 2 of 16. Fewer
// rows take more columns at a time, which is as many chains and a longer stretch of each value.
constexpr int kRowsMax = 6;
constexpr int kVectors = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM ? 4 : 2;
constexpr int kVectorsWide = 4 * kVectors;  // for one row

// Keys whose products are summed in registers, one after the other. Rounding makes an error of at
// most 12 units of 2^-24 of the sum of their magnitudes (partial sums are smaller). Such chains are
// then added in float32, at most kBlockKeysMax / kChainKeys of them (7 units more), and these sums
// to totals in float64. Longer chains save little and err more: 128 keys alone may err by 44 units,
// where the bound of accuracy for a context is 33.
constexpr int64_t kChainKeys = 32;

// Keys that all rows and columns take before the next ones, at most: their values stay in the L2
// cache, and few rows of weights, which read them once, read them nearly in the order of memory.
constexpr int64_t kBlockBytes = 512 << 10;
constexpr int64_t kBlockKeysMin = kChainKeys;
constexpr int64_t kBlockKeysMax = 512;

// An element of a value as it is kept.
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
  const T* values;
  int64_t value_stride;
  double* out;
  int64_t out_stride;
  int64_t column;  // that `values` and `out` begin with
  Infinities infinities;

  void SkipRows(int64_t rows) {
    weights += rows * weight_stride;
    out += rows * out_stride;
    infinities.maxes += rows;
    infinities.met += rows;
    infinities.plus += rows * infinities.stride;
    infinities.minus += rows * infinities.stride;
  }
  void SkipColumns(int64_t columns) {
    values += columns;
    out += columns;
    column += columns;
  }
};

// out[c] += sums[c] for the columns from `begin` to end - 1.
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

// The sums of the first row of `args`, a vector of columns, without the keys of weight 0: the bits
// of AddTile where those are finite.
template <class T>
FloatVector SumAttended(const TileArgs<T>& args) {
  const Floats d;
  auto total = hn::Zero(d);
  for (int64_t begin = 0; begin < args.keys; begin += kChainKeys) {
    auto sum = hn::Zero(d);
    for (int64_t j = begin; j < std::min(begin + kChainKeys, args.keys); ++j) {
      if (args.weights[j] == 0) continue;
      sum = hn::MulAdd(LoadWide(args.values + j * args.value_stride), hn::Set(d, args.weights[j]),
                       sum);
    }
    total = hn::Add(total, sum);
  }
  return total;
}

// The columns from `begin` to end - 1 in float64, which no sum of finite values overflows. What is
// not finite goes to the infinities.
template <class T>
void SumFiniteWide(const TileArgs<T>& args, int64_t begin, int64_t end, double* sums) {
  HWY_ALIGN float value[kLanes];
  float plus[kLanes] = {};
  float minus[kLanes] = {};
  std::fill_n(sums, kLanes, 0.0);
  for (int64_t j = 0; j < args.keys; ++j) {
    const float weight = args.weights[j];
    if (weight == 0) continue;
    hn::Store(LoadWide(args.values + j * args.value_stride), Floats(), value);
    for (int64_t c = begin; c < end; ++c) {
      if (std::isfinite(value[c])) {
        sums[c] += static_cast<double>(weight) * static_cast<double>(value[c]);
        continue;
      }
      // NaN is neither above nor below 0.
      if (!(value[c] < 0)) plus[c] = std::max(plus[c], weight);
      if (!(value[c] > 0)) minus[c] = std::max(minus[c], weight);
    }
  }
  for (int64_t c = begin; c < end; ++c) {
    if (plus[c] > 0 || minus[c] > 0) args.infinities.Add(args.column + c, plus[c], minus[c]);
  }
}

// The columns from `begin` to end - 1 of the first row, of which some are not finite in float32: a
// value is infinite or NaN, attended or not, or values are so large that their sum overflows.
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
      args.out[c] += std::isfinite(sums[c]) ? static_cast<double>(sums[c]) : wide_sums[c];
    }
    args.SkipColumns(kLanes);
  }
}

// Sums kRows rows and kColumnVectors vectors of columns, and adds to `out` those of the columns
// from `begin` to end - 1.
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
      const T* value = args.values + j * args.value_stride;
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
  // x * 0 is NaN for what is not finite; a NaN stays in a sum.
  auto special = hn::Zero(d);
  for (const auto& row : totals) {
    for (int v = 0; v < kColumnVectors; ++v) {
      special = hn::MulAdd(hn::Load(d, row + v * kLanes), hn::Zero(d), special);
    }
  }
  const bool all_finite = hn::AllFalse(d, hn::IsNaN(special));
  for (int r = 0; r < kRows; ++r) {
    if (all_finite) {
      AddToTotals(totals[r], begin, end, args.out + r * args.out_stride);
      continue;
    }
    TileArgs<T> row = args;
    row.SkipRows(r);
    AddCarefully(row, begin, end);
  }
}

// `columns` columns, of which a tile takes kColumnVectors vectors, and the rest fewer.
template <class T, int kRows, int kColumnVectors>
void AddRows(TileArgs<T> args, int64_t columns) {
  constexpr int64_t kTileColumns = kColumnVectors * kLanes;
  for (; columns >= kTileColumns; columns -= kTileColumns) {
    AddTile<T, kRows, kColumnVectors>(args, 0, kTileColumns);
    args.SkipColumns(kTileColumns);
  }
  if (columns == 0) return;
  if constexpr (kColumnVectors > 1) {
    // One row has as many chains as vectors, and needs many of them: fewer vectors by half only.
    constexpr int kFewer = kRows == 1 ? kColumnVectors / 2 : kColumnVectors / 4;
    AddRows<T, kRows, std::max(1, kFewer)>(args, columns);
  } else {
    // A vector that ends with the row, so that nothing is read behind it. A row that is shorter is
    // read on into the next one, see AddNarrow.
    const int64_t back = args.value_stride < kLanes ? 0 : kLanes - columns;
    args.SkipColumns(-back);
    AddTile<T, kRows, 1>(args, back, back + columns);
  }
}

template <class T>
void AddAnyRows(int64_t rows, const TileArgs<T>& args, int64_t columns) {
  switch (rows) {
    case 1:
      return AddRows<T, 1, kVectorsWide>(args, columns);
    case 2:
      return AddRows<T, 2, kVectorsWide / 2>(args, columns);
    case 3:
      return AddRows<T, 3, kVectors>(args, columns);
    case 4:
      return AddRows<T, 4, kVectors>(args, columns);
    case 5:
      return AddRows<T, 5, kVectors>(args, columns);
    default:
      return AddRows<T, kRowsMax, kVectors>(args, columns);
  }
}

// All rows, in as few groups as can be.
template <class T>
void AddBlock(int64_t rows, const TileArgs<T>& block, int64_t columns) {
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next = (group + 1) * rows / groups;
    TileArgs<T> args = block;
    args.SkipRows(row);
    AddAnyRows(next - row, args, columns);
    row = next;
  }
}

// The same where a row is less than a vector. The last keys, behind whose rows there are not
// elements enough to read, are copied to where there are.
template <class T>
void AddNarrow(int64_t rows, const TileArgs<T>& block, int64_t columns) {
  const int64_t unsafe = std::min((kLanes + columns - 1) / columns - 1, block.keys);
  TileArgs<T> args = block;
  args.keys -= unsafe;
  if (args.keys > 0) AddBlock(rows, args, columns);
  T copies[2 * kLanes] = {};  // unsafe * columns < kLanes
  std::memcpy(copies, block.values + args.keys * columns,
              static_cast<size_t>(unsafe * columns) * sizeof(T));
  args.weights += args.keys;
  args.keys = unsafe;
  args.values = copies;
  AddBlock(rows, args, columns);
}

template <class T>
void AddPanelsOf(const float* weights, int64_t weight_stride, int64_t rows,
                 const ValuePanels& values, int64_t key_count, double* out, int64_t out_stride,
                 const Infinities& infinities) {
  // Rows of panels that follow one another follow one another too.
  const int64_t columns = values.columns;
  if (columns == 0) return;
  const int64_t row_bytes = columns * static_cast<int64_t>(sizeof(T));
  const int64_t step =
      std::clamp(kBlockBytes / row_bytes / kChainKeys * kChainKeys, kBlockKeysMin, kBlockKeysMax);
  for (int64_t j = 0; j < key_count; j += step) {
    const TileArgs<T> block = {.weights = weights + j,
                               .weight_stride = weight_stride,
                               .keys = std::min(step, key_count - j),
                               .values = reinterpret_cast<const T*>(values.data) + j * columns,
                               .value_stride = columns,
                               .out = out,
                               .out_stride = out_stride,
                               .column = 0,
                               .infinities = infinities};
    if (columns < kLanes) {
      AddNarrow(rows, block, columns);
    } else {
      AddBlock(rows, block, columns);
    }
  }
}

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, double* out,
                       int64_t out_stride, const Infinities& infinities) {
  switch (values.type) {
    case DataType::kFloat32:
      return AddPanelsOf<float>(weights, weight_stride, rows, values, key_count, out, out_stride,
                                infinities);
    case DataType::kFloat16:
      return AddPanelsOf<Float16>(weights, weight_stride, rows, values, key_count, out, out_stride,
                                  infinities);
    case DataType::kBfloat16:
      return AddPanelsOf<Bfloat16>(weights, weight_stride, rows, values, key_count, out, out_stride,
                                   infinities);
    case DataType::kBool:
    case DataType::kInt32:
      break;
  }
  assert(false && "not a float type");
}

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(AddWeightedPanels);

void Infinities::Add(int64_t column, float plus_weight, float minus_weight) const {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  if (!*met) {
    std::fill_n(plus, columns, kNone);
    std::fill_n(minus, columns, kNone);
    *met = true;
  }
  // The ln of 0 is -inf.
  const auto score = [&](float weight) {
    return static_cast<float>(*maxes + std::log(static_cast<double>(weight)));
  };
  plus[column] = std::max(plus[column], score(plus_weight));
  minus[column] = std::max(minus[column], score(minus_weight));
}

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, double* out,
                       int64_t out_stride, const Infinities& infinities) {
  HWY_DYNAMIC_DISPATCH(AddWeightedPanels)
  (weights, weight_stride, rows, values, key_count, out, out_stride, infinities);
}

}  // namespace qkserve
#endif  // HWY_ONCE
