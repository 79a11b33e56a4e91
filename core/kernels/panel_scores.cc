// Highway compiles this file once for every instruction set and picks a version at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/panel_scores.cc"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include <algorithm>
#include <cassert>

#include "core/kernels/panels.h"
#include "core/kernels/widen-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Words = hn::RebindToUnsigned<Floats>;
using FloatVector = hn::Vec<Floats>;
constexpr int64_t kLanes =
    hn::MaxLanes(Floats());  // exact, because CMake disables SVE and RVV (HWY_DISABLED_TARGETS)

// A tile of kRowsMax queries and VectorsOf(kRowsMax) vectors of keys keeps its accumulators, the
// key vectors and one element of a query in registers. There are 6 x 4 accumulators if the CPU has
// 32 registers, or 6 x 2 if it has 16. Each element of d then takes fewer loads than multiply-adds,
// and there are enough independent chains of multiply-adds to hide their latency.
//
// A tile of fewer queries takes more vectors, up to all vectors of a panel. Such a tile has more
// chains and reads longer runs of the panel.
constexpr int kRowsMax = 6;
constexpr int VectorsOf(int rows) {
  const int vectors = (HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM ? 4 : 2) * (rows == 1  ? 4
                                                                          : rows < 4 ? 2
                                                                                     : 1);
  return std::min(vectors, static_cast<int>(kPanelKeys / kLanes));
}

// The most elements of d in a depth block. All queries are multiplied with one depth block of a
// panel before the next one. A depth block has at most 96 KB, and two of them stay in the L2 cache.
// Between depth blocks the sums are stored in `out`, which does not change their bits. Depth blocks
// that fit in the L1 cache are not faster, because tiles would begin and end more often. Tiles read
// the panel forwards anyway.
constexpr int64_t kDepthBlock = 384;

// The structs below load a panel's keys as vectors of float32. A row holds one element of d for all
// keys of the panel, stored as T. Load reads unit `unit` of a row: kUnit vectors that are
// kPairDistance keys apart. Each tile widens 16-bit keys again. This costs less than storing
// widened keys, because the widening runs beside the multiply-adds.

struct Float32Panel {
  using T = float;
  static constexpr int kUnit = 1;
  static HWY_INLINE void Load(const T* row, int64_t unit, FloatVector* keys) {
    keys[0] = hn::Load(Floats(), row + unit * kLanes);
  }
};

struct Float16Panel {
  using T = uint16_t;
  static constexpr int kUnit = 1;
  static HWY_INLINE void Load(const T* row, int64_t unit, FloatVector* keys) {
    keys[0] = LoadFloat16(Floats(), row + unit * kLanes);
  }
};

struct Bfloat16Panel {
  using T = uint32_t;  // two keys, see KeyInPanelRow
  static constexpr int kUnit = 2;
  static HWY_INLINE void Load(const T* row, int64_t unit, FloatVector* keys) {
    const auto pairs = hn::Load(Words(), row + unit * kLanes);
    keys[0] = hn::BitCast(Floats(), hn::ShiftLeft<16>(pairs));
    keys[1] = hn::BitCast(Floats(), hn::And(pairs, hn::Set(Words(), 0xFFFF0000U)));
  }
};

// Returns the first key of vector v of a panel.
template <class Panel>
constexpr int64_t FirstKey(int64_t v) {
  return v / Panel::kUnit * kLanes + v % Panel::kUnit * kPairDistance;
}

constexpr int64_t kLineBytes = 64;

HWY_INLINE void FetchToL2(const std::byte* at) { __builtin_prefetch(at, 0, 2); }

// The arguments that MultiplyTile and its callers share: queries, the size of the depth block, the
// place of the sums, and what to prefetch.
struct BlockArgs {
  const float* queries;
  int64_t query_stride;
  int64_t depth;
  float* out;
  int64_t out_stride;
  bool is_first_block;
  // The depth block after this one, with next_row_bytes bytes for each element of d. The tiles
  // prefetch this block into the L2 cache while they compute. For each element of d, a tile
  // prefetches next_step bytes.
  const std::byte* next;
  int64_t next_row_bytes;
  int64_t next_step;
};

// Multiplies kRows queries with vectors first, first + 1, ... of the panel.
template <class Panel, int kRows>
HWY_INLINE void MultiplyTile(const BlockArgs& args, const typename Panel::T* panel, int64_t first) {
  constexpr int kVectors = VectorsOf(kRows);
  const Floats df;
  float* const out = args.out;
  const int64_t out_stride = args.out_stride;
  FloatVector sums[kRows][kVectors];
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = args.is_first_block
                       ? hn::Zero(df)
                       : hn::Load(df, out + r * out_stride + FirstKey<Panel>(first + v));
    }
  }
  const float* queries = args.queries;
  const std::byte* next = args.next;
  const int64_t next_step = args.next_step;
  for (int64_t p = 0; p < args.depth; ++p) {
    if (next_step > 0) FetchToL2(next);
    if (next_step > kLineBytes) FetchToL2(next + next_step / 2);
    next += next_step;
    const auto query = [&](int r) { return hn::Set(df, queries[r * args.query_stride + p]); };
    const auto load = [&](int v, FloatVector* keys) {
      Panel::Load(panel, (first + v) / Panel::kUnit, keys);
    };
    // If there are fewer queries than key vectors, the queries stay in registers and the vectors
    // are loaded when needed. Otherwise the vectors stay in registers.
    if constexpr (kRows < kVectors) {
      FloatVector elements[kRows];
      HWY_UNROLL(6)
      for (int r = 0; r < kRows; ++r) elements[r] = query(r);
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; v += Panel::kUnit) {
        FloatVector keys[Panel::kUnit];
        load(v, keys);
        HWY_UNROLL(6)
        for (int r = 0; r < kRows; ++r) {
          HWY_UNROLL(2)
          for (int u = 0; u < Panel::kUnit; ++u) {
            sums[r][v + u] = hn::MulAdd(keys[u], elements[r], sums[r][v + u]);
          }
        }
      }
    } else {
      FloatVector keys[kVectors];
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; v += Panel::kUnit) load(v, keys + v);
      HWY_UNROLL(6)
      for (int r = 0; r < kRows; ++r) {
        const auto element = query(r);
        HWY_UNROLL(16)
        for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(keys[v], element, sums[r][v]);
      }
    }
    panel += kPanelKeys / Panel::kUnit;
  }
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(sums[r][v], df, out + r * out_stride + FirstKey<Panel>(first + v));
    }
  }
}

// Multiplies all keys of the panel with a group of queries. There are `groups` such groups, and
// each prefetches its part of the next block. Advances args.next by the bytes that were prefetched.
template <class Panel, int kRows>
HWY_NOINLINE void MultiplyRows(BlockArgs& args, const typename Panel::T* panel, int64_t groups) {
  constexpr int64_t kVectors = VectorsOf(kRows);
  constexpr int64_t kPanelVectors = kPanelKeys / kLanes;
  const int64_t tiles = kPanelVectors / kVectors * groups;
  // A single tile reads forwards as fast as the memory allows. Prefetching would only slow it down.
  args.next_step = tiles == 1 ? 0 : (args.next_row_bytes + tiles - 1) / tiles;
  for (int64_t first = 0; first < kPanelVectors; first += kVectors) {
    MultiplyTile<Panel, kRows>(args, panel, first);
    args.next += args.depth * args.next_step;
  }
}

// Multiplies all queries, in as few groups as possible.
template <class Panel>
void MultiplyBlock(int64_t rows, const BlockArgs& block, const typename Panel::T* panel) {
  using Multiply = void (*)(BlockArgs & args, const typename Panel::T* panel, int64_t groups);
  static constexpr Multiply kMultiply[kRowsMax] = {MultiplyRows<Panel, 1>, MultiplyRows<Panel, 2>,
                                                   MultiplyRows<Panel, 3>, MultiplyRows<Panel, 4>,
                                                   MultiplyRows<Panel, 5>, MultiplyRows<Panel, 6>};
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  BlockArgs args = block;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next_row = (group + 1) * rows / groups;
    args.queries = block.queries + row * block.query_stride;
    args.out = block.out + row * block.out_stride;
    kMultiply[next_row - row - 1](args, panel, groups);
    row = next_row;
  }
}

template <class Panel>
void MultiplyPanelsOf(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                      int64_t out_stride) {
  // If one tile has all queries and keys, nothing is read twice and d is not cut.
  const bool is_one_tile =
      rows <= kRowsMax && VectorsOf(static_cast<int>(rows)) * kLanes == kPanelKeys;
  const int64_t block_max = is_one_tile ? keys.d : kDepthBlock;
  const int64_t blocks = (keys.d + block_max - 1) / block_max;
  const int64_t row_bytes = KeyPanelBytes(keys.type, 1);
  const std::byte* at = keys.data;
  for (int64_t panel = 0; panel < keys.count; ++panel) {
    for (int64_t block = 0, p = 0; block < blocks; ++block) {
      const int64_t next_p = (block + 1) * keys.d / blocks;
      const auto* from = reinterpret_cast<const typename Panel::T*>(at);
      at += (next_p - p) * row_bytes;
      const BlockArgs args = {.queries = queries + p,
                              .query_stride = keys.d,
                              .depth = next_p - p,
                              .out = out + panel * kPanelKeys,
                              .out_stride = out_stride,
                              .is_first_block = p == 0,
                              .next = at,
                              .next_row_bytes = row_bytes,
                              .next_step = 0};
      MultiplyBlock<Panel>(rows, args, from);
      p = next_p;
    }
  }
}

void MultiplyPanels(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                    int64_t out_stride) {
  assert(IsFloatType(static_cast<int>(keys.type)));
  const auto multiply = keys.type == DataType::kFloat32   ? MultiplyPanelsOf<Float32Panel>
                        : keys.type == DataType::kFloat16 ? MultiplyPanelsOf<Float16Panel>
                                                          : MultiplyPanelsOf<Bfloat16Panel>;
  multiply(queries, rows, keys, out, out_stride);
}

const char* PackedKernelTarget() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(MultiplyPanels);
HWY_EXPORT(PackedKernelTarget);

absl::string_view PackedKernelName() { return HWY_DYNAMIC_DISPATCH(PackedKernelTarget)(); }

void MultiplyPanels(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                    int64_t out_stride) {
  if (keys.d > 0 && rows > 0) {
    HWY_DYNAMIC_DISPATCH(MultiplyPanels)(queries, rows, keys, out, out_stride);
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    std::fill_n(out + i * out_stride, keys.count * kPanelKeys, 0.0F);
  }
}

}  // namespace qkserve
#endif  // HWY_ONCE
