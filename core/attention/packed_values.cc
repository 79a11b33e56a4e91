// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/packed_values.cc"
// See packed_kernel.cc.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
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

template <class T, int kRows, int kColumnVectors>
HWY_NOINLINE void AddTile(const TileArgs<T>& args) {
  const Floats d;
  float* const out = args.out;
  const int64_t out_stride = args.out_stride;
  FloatVector sums[kRows][kColumnVectors];
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kColumnVectors; ++v) {
      sums[r][v] = hn::Load(d, out + r * out_stride + v * kLanes);
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
      hn::Store(sums[r][v], d, out + r * out_stride + v * kLanes);
    }
  }
}

// `columns` columns, of which a tile takes kColumnVectors vectors, and the rest fewer.
template <class T, int kRows, int kColumnVectors>
void AddRows(TileArgs<T> args, int64_t columns) {
  constexpr int64_t kTileColumns = kColumnVectors * kLanes;
  for (; columns >= kTileColumns; columns -= kTileColumns) {
    AddTile<T, kRows, kColumnVectors>(args);
    args.values += kTileColumns;
    args.out += kTileColumns;
  }
  if constexpr (kColumnVectors > 1) {
    if (columns > 0) AddRows<T, kRows, std::max(1, kColumnVectors / 4)>(args, columns);
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

// One row, without the keys of weight 0: what stands between them is a call each, which gives the
// same bits. Slower, and seldom needed: weights of 0 meet values that are not finite.
template <class T>
void AddRowWithoutZeros(const TileArgs<T>& row, int64_t columns) {
  for (int64_t j = 0; j < row.keys;) {
    if (row.weights[j] == 0) {
      ++j;
      continue;
    }
    int64_t end = j + 1;
    while (end < row.keys && row.weights[end] != 0) ++end;
    TileArgs<T> args = row;
    args.weights += j;
    args.values += j * row.value_stride;
    args.keys = end - j;
    AddAnyRows(1, args, columns);
    j = end;
  }
}

// All rows, in as few groups as can be.
template <class T>
void AddBlock(int64_t rows, const TileArgs<T>& block, int64_t columns, bool all_finite) {
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next = (group + 1) * rows / groups;
    const auto at = [&](int64_t i) {
      TileArgs<T> args = block;
      args.weights += i * block.weight_stride;
      args.out += i * block.out_stride;
      return args;
    };
    bool has_zero = false;
    for (int64_t i = row; !all_finite && i < next; ++i) {
      has_zero = has_zero || HasZero(at(i).weights, block.keys);
    }
    if (!has_zero) {
      AddAnyRows(next - row, at(row), columns);
    } else {
      for (int64_t i = row; i < next; ++i) AddRowWithoutZeros(at(i), columns);
    }
    row = next;
  }
}

template <class T>
void AddPanelsOf(const float* weights, int64_t weight_stride, int64_t rows,
                 const ValuePanels& values, int64_t key_count, float* out) {
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
    AddBlock(rows, block, columns, values.all_finite);
  }
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
