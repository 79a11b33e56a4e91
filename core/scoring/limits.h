#ifndef QKSERVE_CORE_SCORING_LIMITS_H_
#define QKSERVE_CORE_SCORING_LIMITS_H_

#include <cstdint>

// Limits of requests and of tiles. The limits of tiles shape the computation. So they are part of
// what makes its bits repeatable.

namespace qkserve {

// The most scores that a request may compute, returned or not: about 20 minutes of a core. A shape
// with d = 0 can ask for any number of them in a few bytes.
inline constexpr int64_t kScoresMax = int64_t{1} << 40;

// A tile is the unit that workers share and small requests overtake. Tiles are cut by the request's
// shape alone. A block of 256 x 1024 float32 results is 1 MiB: it stays in the L2 cache while the
// matrix product writes, reads and writes it again. If there are few rows, a tile has more keys. If
// there are few keys, it has more rows.

inline constexpr int64_t kTileRows = 256;
inline constexpr int64_t kTileKeys = 1024;
inline constexpr int64_t kTileResults = kTileRows * kTileKeys;

// The most multiply-adds of a tile, about 5 ms of one AVX-512 core, and the most elements that it
// reads, about 3 ms of memory traffic. If d is long, tiles have fewer rows and keys.
inline constexpr int64_t kTileMultiplyAdds = kTileResults * 1024;
inline constexpr int64_t kTileElements = int64_t{8} << 20;

// The least work of a tile, about 0.4 ms. A smaller request is not worth cutting.
inline constexpr int64_t kTileMultiplyAddsMin = kTileMultiplyAdds / 16;
static_assert(kTileMultiplyAddsMin <= kTileMultiplyAdds);

// The cost, in multiply-adds, of a call of the matrix product before its first multiply-add: about
// 0.2 us. A request may consist of a million products of 1 x 1.
inline constexpr int64_t kCallMultiplyAdds = 10'000;

// The most rows of a block, and the keys of a step. The scores of a step for a block take 256 KiB,
// which stay in the L2 cache.
inline constexpr int64_t kBlockRows = 128;
inline constexpr int64_t kStepKeys = 512;

// The most elements of a block's result.
inline constexpr int64_t kBlockElements = int64_t{1} << 20;

// Key sets: the elements of keys and values of a split. Reading them takes about 0.4 ms.
// Multiplying them with kBlockRows rows takes about 5 ms.
inline constexpr int64_t kSplitElements = int64_t{2} << 20;

// Key sets: the multiply-adds that a tile should have, about 1 ms.
inline constexpr int64_t kPassTileMultiplyAdds = kTileMultiplyAdds / 4;

// Key sets: the bytes of packed keys and values that a core reads in a second, for predictions.
inline constexpr double kPanelBytesPerSecond = 16e9;

// Top k may have more columns than there are keys. Up to this many surplus columns are written with
// their row, in about 1 us. If there are more, they get tiles of their own.
inline constexpr int64_t kPaddingMax = 1024;

// The most elements that one tile fills of results that depend on no key: about 2 ms.
inline constexpr int64_t kFillPlaces = int64_t{1} << 20;

// The cost, in multiply-adds, of masking and weighing a score: about 1 ns.
inline constexpr int64_t kExpMultiplyAdds = 50;

// The elements that one core reads from memory, and converts if it must, in a second, for
// predictions. On an idle machine it reads two to three times as many, because no other core uses
// the memory.
inline constexpr double kElementsReadPerSecond = 1.5e9;

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_LIMITS_H_
