// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/packed_values.cc"
// Arrays of vectors need vectors of known size: see packed_kernel.cc.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include <algorithm>
#include <cassert>

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

// Keys that all rows and columns take before the next ones, at most: their values stay in the L2
// cache, and few rows of weights, which read them once, read them nearly in the order of memory.
constexpr int64_t kBlockBytes = 512 << 10;
constexpr int64_t kBlockKeysMin = 16;
constexpr int64_t kBlockKeysMax = 512;

// An element of a value as it is kept.
struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

HWY_INLINE FloatVector LoadWide(const float* from) { return hn::Load(Floats(), from); }
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
  float* out;
  int64_t out_stride;
};

// kSelects: what a weight of 0 would add is left out.
template <class T, bool kSelects, int kRows, int kColumnVectors>
HWY_NOINLINE void AddTile(const TileArgs<T>& args) {
  const Floats d;
  FloatVector sums[kRows][kColumnVectors];
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kColumnVectors; ++v) {
      sums[r][v] = hn::Load(d, args.out + r * args.out_stride + v * kLanes);
    }
  }
  for (int64_t j = 0; j < args.keys; ++j) {
    const T* value = args.values + j * args.value_stride;
    FloatVector columns[kColumnVectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kColumnVectors; ++v) columns[v] = LoadWide(value + v * kLanes);
    HWY_UNROLL(6)
    for (int r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, args.weights[r * args.weight_stride + j]);
      const auto is_zero = hn::Eq(weight, hn::Zero(d));
      HWY_UNROLL(16)
      for (int v = 0; v < kColumnVectors; ++v) {
        const auto sum = hn::MulAdd(columns[v], weight, sums[r][v]);
        sums[r][v] = kSelects ? hn::IfThenElse(is_zero, sums[r][v], sum) : sum;
      }
    }
  }
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kColumnVectors; ++v) {
      hn::Store(sums[r][v], d, args.out + r * args.out_stride + v * kLanes);
    }
  }
}

// `columns` columns, of which a tile takes kColumnVectors vectors, and then fewer.
template <class T, bool kSelects, int kRows, int kColumnVectors>
void AddRowsOf(TileArgs<T> args, int64_t columns) {
  constexpr int64_t kTileColumns = kColumnVectors * kLanes;
  for (; columns >= kTileColumns; columns -= kTileColumns) {
    AddTile<T, kSelects, kRows, kColumnVectors>(args);
    args.values += kTileColumns;
    args.out += kTileColumns;
  }
  if constexpr (kColumnVectors > 1) {
    if (columns > 0) AddRowsOf<T, kSelects, kRows, kColumnVectors / 2>(args, columns);
  }
}

bool HasZero(const float* weights, int64_t count) {
  const Floats d;
  auto found = hn::Zero(d);
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    const auto is_zero = hn::Eq(hn::LoadU(d, weights + j), hn::Zero(d));
    found = hn::Or(found, hn::IfThenElseZero(is_zero, hn::Set(d, 1)));
  }
  bool has_zero = !hn::AllTrue(d, hn::Eq(found, hn::Zero(d)));
  for (; j < count; ++j) has_zero = has_zero || weights[j] == 0;
  return has_zero;
}

template <class T, bool kAllFinite, int kRows, int kColumnVectors>
void AddRows(const TileArgs<T>& args, int64_t columns) {
  // Where there is nothing to leave out it is faster not to ask every time.
  bool selects = false;
  for (int r = 0; !kAllFinite && r < kRows; ++r) {
    selects = selects || HasZero(args.weights + r * args.weight_stride, args.keys);
  }
  if (!selects) return AddRowsOf<T, false, kRows, kColumnVectors>(args, columns);
  if constexpr (!kAllFinite) AddRowsOf<T, true, kRows, kColumnVectors>(args, columns);
}

template <class T, bool kAllFinite>
void AddAnyRows(int64_t rows, const TileArgs<T>& args, int64_t columns) {
  switch (rows) {
    case 1:
      return AddRows<T, kAllFinite, 1, kVectorsWide>(args, columns);
    case 2:
      return AddRows<T, kAllFinite, 2, kVectorsWide / 2>(args, columns);
    case 3:
      return AddRows<T, kAllFinite, 3, kVectors>(args, columns);
    case 4:
      return AddRows<T, kAllFinite, 4, kVectors>(args, columns);
    case 5:
      return AddRows<T, kAllFinite, 5, kVectors>(args, columns);
    default:
      return AddRows<T, kAllFinite, kRowsMax, kVectors>(args, columns);
  }
}

// All rows, in as few groups as can be.
template <class T, bool kAllFinite>
void AddBlock(int64_t rows, const TileArgs<T>& block, int64_t columns) {
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  TileArgs<T> args = block;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next = (group + 1) * rows / groups;
    args.weights = block.weights + row * block.weight_stride;
    args.out = block.out + row * block.out_stride;
    AddAnyRows<T, kAllFinite>(next - row, args, columns);
    row = next;
  }
}

template <class T, bool kAllFinite>
void AddPanels(const float* weights, int64_t weight_stride, int64_t rows, const ValuePanels& values,
               int64_t key_count, float* out) {
  // Rows of panels that follow one another follow one another too.
  const int64_t columns = PaddedColumns(values.columns);
  if (columns == 0) return;
  const int64_t row_bytes = columns * static_cast<int64_t>(sizeof(T));
  const int64_t step = std::clamp(kBlockBytes / row_bytes, kBlockKeysMin, kBlockKeysMax);
  for (int64_t j = 0; j < key_count; j += step) {
    const TileArgs<T> block = {.weights = weights + j,
                               .weight_stride = weight_stride,
                               .keys = std::min(step, key_count - j),
                               .values = reinterpret_cast<const T*>(values.data) + j * columns,
                               .value_stride = columns,
                               .out = out,
                               .out_stride = columns};
    AddBlock<T, kAllFinite>(rows, block, columns);
  }
}

template <class T>
void AddPanelsOf(const float* weights, int64_t weight_stride, int64_t rows,
                 const ValuePanels& values, int64_t key_count, float* out) {
  const auto add = values.all_finite ? AddPanels<T, true> : AddPanels<T, false>;
  add(weights, weight_stride, rows, values, key_count, out);
}

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, float* out) {
  switch (values.type) {
    case DataType::kFloat32:
      return AddPanelsOf<float>(weights, weight_stride, rows, values, key_count, out);
    case DataType::kFloat16:
      return AddPanelsOf<Float16>(weights, weight_stride, rows, values, key_count, out);
    case DataType::kBfloat16:
      return AddPanelsOf<Bfloat16>(weights, weight_stride, rows, values, key_count, out);
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

void AddWeightedPanels(const float* weights, int64_t weight_stride, int64_t rows,
                       const ValuePanels& values, int64_t key_count, float* out) {
  HWY_DYNAMIC_DISPATCH(AddWeightedPanels)
  (weights, weight_stride, rows, values, key_count, out);
}

}  // namespace qkserve
#endif  // HWY_ONCE
