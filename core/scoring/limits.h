#ifndef QKSERVE_CORE_SCORING_LIMITS_H_
#define QKSERVE_CORE_SCORING_LIMITS_H_

#include <cstdint>

// Limits of requests and of tiles. The limits of tiles decide how the computation is cut, so the
// bits of results depend on them.

namespace qkserve {

// The most scores that a request may compute, whether they are returned or not: about 20 minutes of
// one core. Without a limit, a request with d = 0 could ask for any number of scores in a few
// bytes.
inline constexpr int64_t kScoresMax = int64_t{1} << 40;

// A tile is the work that a worker takes at a time. Small requests overtake large ones between
// tiles. With inline keys, the request alone decides the tiles. A block of 256 x 1024 float32
// results is 1 MiB, which stays in the L2 cache while the matrix product writes, reads and writes
// it again. If there are few rows, a tile has more keys. If there are few keys, a tile has more
// rows.

inline constexpr int64_t kTileRows = 256;
inline constexpr int64_t kTileKeys = 1024;
inline constexpr int64_t kTileResults = kTileRows * kTileKeys;

// The most multiply-adds of a tile (about 5 ms of one AVX-512 core), and the most elements that it
// reads (about 3 ms of memory traffic). If d is large, tiles have fewer rows and keys.
inline constexpr int64_t kTileMultiplyAdds = kTileResults * 1024;
inline constexpr int64_t kTileElements = int64_t{8} << 20;

// The least work of a tile, about 0.4 ms. A smaller request is not worth cutting.
inline constexpr int64_t kTileMultiplyAddsMin = kTileMultiplyAdds / 16;
static_assert(kTileMultiplyAddsMin <= kTileMultiplyAdds);

// The fixed cost of a call of the matrix product, in multiply-adds: about 0.2 us. This cost matters
// because a request may consist of a million products of 1 x 1.
inline constexpr int64_t kCallMultiplyAdds = 10'000;

// The most rows of a block, and the keys of a step. The scores of a step for a block take 256 KiB,
// which stay in the L2 cache.
inline constexpr int64_t kBlockRows = 128;
inline constexpr int64_t kStepKeys = 512;

// The most elements of a block's result.
inline constexpr int64_t kBlockElements = int64_t{1} << 20;

// Key sets: the elements of keys and values in a split. Reading them takes about 0.4 ms.
// Multiplying them with kBlockRows rows takes about 5 ms.
inline constexpr int64_t kSplitElements = int64_t{2} << 20;

// Key sets: the multiply-adds that a tile should have, about 1 ms.
inline constexpr int64_t kPassTileMultiplyAdds = kTileMultiplyAdds / 4;

// Key sets: the bytes of packed keys and values that a core reads in a second, for predictions.
inline constexpr double kPanelBytesPerSecond = 16e9;

// Top k may have more columns than there are keys. Up to this many surplus columns are written
// together with the row, in about 1 us. If there are more of them, separate tiles write them.
inline constexpr int64_t kPaddingMax = 1024;

// Some results depend on no key. One tile fills at most this many of them, in about 2 ms.
inline constexpr int64_t kFillPlaces = int64_t{1} << 20;

// The cost, in multiply-adds, of masking and weighing a score: about 1 ns.
inline constexpr int64_t kExpMultiplyAdds = 50;

// Predictions assume that one core reads this many elements in a second from memory, and converts
// them if needed. On an idle machine, a core reads two to three times as many, because no other
// core uses the memory.
inline constexpr double kElementsReadPerSecond = 1.5e9;

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_LIMITS_H_
