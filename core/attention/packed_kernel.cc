// Highway compiles this file once for every instruction set and picks at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/packed_kernel.cc"
// A tile of accumulators is an array, so vectors need a size that is known: 128 bits of NEON serve
// where Highway would pick SVE.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "core/attention/packed_kernel.h"

#include <algorithm>
#include <cassert>
#include <type_traits>

#include "core/attention/packed_layout.h"
#include "core/attention/widen-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qkserve {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Words = hn::RebindToUnsigned<Floats>;
using FloatVector = hn::Vec<Floats>;
constexpr int64_t kLanes = hn::MaxLanes(Floats());

// A tile of kRowsMax queries and kVectors vectors of keys keeps its accumulators, those vectors and
// a query's element in registers: 6 x 4 of 32, 6 x 2 of 16. Each element of d then costs fewer
// loads than half its multiply-adds, and there are enough chains for any latency of these.
constexpr int kRowsMax = 6;
constexpr int kVectors = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM ? 4 : 2;
constexpr int64_t kTileKeys = kVectors * kLanes;
static_assert(kPanelKeys % kTileKeys == 0);

// Elements of d that all queries take before the next ones, at most: their part of a panel, 24 KB,
// stays in the L1 cache. What is summed so far waits in `out` meanwhile: its bits are the same.
constexpr int64_t kDepthBlock = 96;

// How kVectors vectors of tile `tile` are read from an element's row of a panel, widened, and which
// key is the first of vector v.

struct Float32Panel {
  using T = float;
  static int64_t FirstKey(int64_t tile, int v) { return tile * kTileKeys + v * kLanes; }
  static HWY_INLINE void Load(const T* row, int64_t tile, FloatVector (&keys)[kVectors]) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) keys[v] = hn::Load(Floats(), row + FirstKey(tile, v));
  }
};

struct Float16Panel {
  using T = uint16_t;
  static int64_t FirstKey(int64_t tile, int v) { return Float32Panel::FirstKey(tile, v); }
  static HWY_INLINE void Load(const T* row, int64_t tile, FloatVector (&keys)[kVectors]) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      keys[v] = LoadFloat16(Floats(), row + FirstKey(tile, v));
    }
  }
};

struct Bfloat16Panel {
  using T = uint32_t;  // a pair
  static int64_t FirstKey(int64_t tile, int v) {
    return (tile * kVectors + v) / 2 * kLanes + v % 2 * kPairDistance;
  }
  static HWY_INLINE void Load(const T* row, int64_t tile, FloatVector (&keys)[kVectors]) {
    const auto upper_half = hn::Set(Words(), 0xFFFF0000U);
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; v += 2) {
      const auto pairs = hn::Load(Words(), row + FirstKey(tile, v));
      keys[v] = hn::BitCast(Floats(), hn::ShiftLeft<16>(pairs));
      keys[v + 1] = hn::BitCast(Floats(), hn::And(pairs, upper_half));
    }
  }
};

// T of an element's row of a panel.
template <class Panel>
constexpr int64_t kRowStride = kPanelKeys*(std::is_same_v<Panel, Bfloat16Panel> ? 2 : 4) / 4;

// The queries of a tile and what all tiles of a depth block share.
struct TileArgs {
  const float* queries;
  int64_t query_stride;
  int64_t depth;
  float* out;
  int64_t out_stride;
  bool is_first_block;
  // What to fetch meanwhile: this much for each element of d.
  const std::byte* fetch;
  int64_t fetch_step;
};

template <class Panel, int kRows>
HWY_INLINE void MultiplyTile(const TileArgs& args, const typename Panel::T* panel, int64_t tile) {
  FloatVector sums[kRows][kVectors];
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] =
          args.is_first_block
              ? hn::Zero(Floats())
              : hn::Load(Floats(), args.out + r * args.out_stride + Panel::FirstKey(tile, v));
    }
  }
  const std::byte* fetch = args.fetch;
  for (int64_t p = 0; p < args.depth; ++p) {
    hwy::Prefetch(fetch);
    hwy::Prefetch(fetch + args.fetch_step / 2);
    fetch += args.fetch_step;
    FloatVector keys[kVectors];
    Panel::Load(panel + p * kRowStride<Panel>, tile, keys);
    HWY_UNROLL(6)
    for (int r = 0; r < kRows; ++r) {
      const auto query = hn::Set(Floats(), args.queries[r * args.query_stride + p]);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(keys[v], query, sums[r][v]);
    }
  }
  HWY_UNROLL(6)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(sums[r][v], Floats(), args.out + r * args.out_stride + Panel::FirstKey(tile, v));
    }
  }
}

template <class Panel, int kRows>
HWY_NOINLINE void MultiplyRows(const TileArgs& args, const typename Panel::T* panel) {
  for (int64_t tile = 0; tile < kPanelKeys / kTileKeys; ++tile) {
    MultiplyTile<Panel, kRows>(args, panel, tile);
  }
}

template <class Panel>
void MultiplyAnyRows(int64_t rows, const TileArgs& args, const typename Panel::T* panel) {
  switch (rows) {
    case 1:
      return MultiplyRows<Panel, 1>(args, panel);
    case 2:
      return MultiplyRows<Panel, 2>(args, panel);
    case 3:
      return MultiplyRows<Panel, 3>(args, panel);
    case 4:
      return MultiplyRows<Panel, 4>(args, panel);
    case 5:
      return MultiplyRows<Panel, 5>(args, panel);
    default:
      return MultiplyRows<Panel, kRowsMax>(args, panel);
  }
}

// All rows with one depth block of a panel.
template <class Panel>
void MultiplyBlock(int64_t rows, const TileArgs& block, const typename Panel::T* panel,
                   int64_t raw_row_bytes) {
  const int64_t groups = (rows + kRowsMax - 1) / kRowsMax;
  TileArgs args = block;
  args.fetch_step = (raw_row_bytes + groups - 1) / groups;
  for (int64_t group = 0, row = 0; group < groups; ++group) {
    const int64_t next = (group + 1) * rows / groups;
    args.queries = block.queries + row * block.query_stride;
    args.out = block.out + row * block.out_stride;
    MultiplyAnyRows<Panel>(next - row, args, panel);
    args.fetch += args.fetch_step * block.depth;
    row = next;
  }
}

template <class Panel>
void Widen(const typename Panel::T* from, int64_t depth, float* HWY_RESTRICT to) {
  for (int64_t p = 0; p < depth; ++p) {
    for (int64_t tile = 0; tile < kPanelKeys / kTileKeys; ++tile) {
      FloatVector keys[kVectors];
      Panel::Load(from + p * kRowStride<Panel>, tile, keys);
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(keys[v], Floats(), to + p * kPanelKeys + Panel::FirstKey(tile, v));
      }
    }
  }
}

template <class Panel>
void MultiplyPanelsOf(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                      int64_t out_stride) {
  constexpr bool kIsWide = std::is_same_v<Panel, Float32Panel>;
  alignas(64) float wide[kIsWide ? 1 : kDepthBlock * kPanelKeys];
  const int64_t row_bytes = KeyPanelBytes(keys.type, 1);
  const int64_t blocks = (keys.d + kDepthBlock - 1) / kDepthBlock;
  const std::byte* at = keys.data;
  for (int64_t panel = 0; panel < keys.count; ++panel) {
    for (int64_t block = 0, p = 0; block < blocks; ++block) {
      const int64_t next = (block + 1) * keys.d / blocks;
      const auto* from = reinterpret_cast<const typename Panel::T*>(at);
      at += (next - p) * row_bytes;
      TileArgs args = {.queries = queries + p,
                       .query_stride = keys.d,
                       .depth = next - p,
                       .out = out + panel * kPanelKeys,
                       .out_stride = out_stride,
                       .is_first_block = p == 0,
                       .fetch = at,
                       .fetch_step = 0};
      if (!kIsWide && rows > 2 * kRowsMax) {
        // Every tile would widen them again.
        Widen<Panel>(from, next - p, wide);
        MultiplyBlock<Float32Panel>(rows, args, wide, row_bytes);
      } else {
        MultiplyBlock<Panel>(rows, args, from, row_bytes);
      }
      p = next;
    }
  }
}

void MultiplyPanels(const float* queries, int64_t rows, const KeyPanels& keys, float* out,
                    int64_t out_stride) {
  switch (keys.type) {
    case DataType::kFloat32:
      return MultiplyPanelsOf<Float32Panel>(queries, rows, keys, out, out_stride);
    case DataType::kFloat16:
      return MultiplyPanelsOf<Float16Panel>(queries, rows, keys, out, out_stride);
    case DataType::kBfloat16:
      return MultiplyPanelsOf<Bfloat16Panel>(queries, rows, keys, out, out_stride);
    case DataType::kBool:
    case DataType::kInt32:
      break;
  }
  assert(false && "not a float type");
}

const char* Name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace qkserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkserve {

HWY_EXPORT(MultiplyPanels);
HWY_EXPORT(Name);

absl::string_view PackedKernelName() { return HWY_DYNAMIC_DISPATCH(Name)(); }

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
