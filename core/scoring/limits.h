#ifndef QKSERVE_CORE_SCORING_LIMITS_H_
#define QKSERVE_CORE_SCORING_LIMITS_H_

#include <cstdint>

// Limits of requests and of tiles. Those of tiles shape the computation and are part of what makes
// its bits repeatable.

namespace qkserve {

// Scores that a request may compute, returned or not: about 20 minutes of a core. A shape with d =
// 0 can ask for any number of them in a few bytes.
inline constexpr int64_t kScoresMax = int64_t{1} << 40;

// A tile is the unit that workers share and small requests overtake. Tiles are cut by the request's
// shape alone. A block of 256 x 1024 float32 results is 1 MiB: it stays in the L2 cache while the
// matrix product writes, reads and writes it again. With few rows a tile has more keys, with few
// keys more rows.

inline constexpr int64_t kTileRows = 256;
inline constexpr int64_t kTileKeys = 1024;
inline constexpr int64_t kTileResults = kTileRows * kTileKeys;

// Multiply-adds of a tile, about 5 ms of one AVX-512 core, and elements that it reads, about 3 ms
// of memory traffic: with a long d tiles have fewer rows and keys.
inline constexpr int64_t kTileMultiplyAdds = kTileResults * 1024;
inline constexpr int64_t kTileElements = int64_t{8} << 20;

// About 0.4 ms: below this a request is not worth cutting.
inline constexpr int64_t kTileMultiplyAddsMin = kTileMultiplyAdds / 16;
static_assert(kTileMultiplyAddsMin <= kTileMultiplyAdds);

// Cost of a call of the matrix product before its first multiply-add, about 0.2 us, in
// multiply-adds: requests may consist of a million products of 1 x 1.
inline constexpr int64_t kCallMultiplyAdds = 10'000;

// Most rows of a block, and keys of a step. The scores of a step for a block take 256 KiB, which
// stay in the L2 cache.
inline constexpr int64_t kBlockRows = 128;
inline constexpr int64_t kStepKeys = 512;

// Most elements of the result of a block.
inline constexpr int64_t kBlockElements = int64_t{1} << 20;

// Key sets: elements of keys and values of a split. Reading them takes about 0.4 ms, multiplying
// them with kBlockRows rows about 5 ms.
inline constexpr int64_t kSplitElements = int64_t{2} << 20;

// Key sets: multiply-adds that a tile aims at, about 1 ms.
inline constexpr int64_t kPassTileMultiplyAdds = kTileMultiplyAdds / 4;

// Key sets: bytes of packed keys and values that a core reads in a second, for predictions.
inline constexpr double kPanelBytesPerSecond = 16e9;

// Top k may have more columns than there are keys. Up to this many surplus columns are written with
// their row, in about 1 us; more of them get tiles of their own.
inline constexpr int64_t kPaddingMax = 1024;

// Elements that one tile fills of results that depend on no key, about 2 ms.
inline constexpr int64_t kFillPlaces = int64_t{1} << 20;

// Cost of masking and weighing a score, about 1 ns, in multiply-adds.
inline constexpr int64_t kExpMultiplyAdds = 50;

// Elements that one core reads from memory in a second, and converts if it must, for predictions.
// An idle machine reads two to three times as many, because its cores do not share the memory.
inline constexpr double kElementsReadPerSecond = 1.5e9;

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_LIMITS_H_
