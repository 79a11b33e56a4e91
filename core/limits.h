#ifndef QKSERVE_CORE_LIMITS_H_
#define QKSERVE_CORE_LIMITS_H_

#include <cstdint>

// Limits of the wire, of tiles and of the queue. Those that an operator may change are the defaults
// of flags; those of tiles shape the computation and are part of what makes its bits repeatable.

namespace qkserve {

inline constexpr int64_t kKiB = int64_t{1} << 10;
inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kGiB = int64_t{1} << 30;

// --- The wire -----------------------------------------------------------------------------------

// Largest message, each way (--message_bytes_max). gRPC takes an int.
inline constexpr int64_t kMessageBytesMax = 256 * kMiB;

// What a response may hold beside the elements of its result: receipt, shape, framing.
inline constexpr int64_t kResponseOverheadBytesMax = 4 * kKiB;

// Bytes of all requests in flight (--in_flight_bytes_max).
inline constexpr int64_t kInFlightBytesMax = 2 * kGiB;

// Scores of a request, whether they are returned or not. 20 minutes of a core: nobody waits for
// more, and shapes with d = 0 may ask for any number in a few bytes.
inline constexpr int64_t kScoresMax = int64_t{1} << 40;

// --- Key sets -----------------------------------------------------------------------------------

// Keys of a key set: indices of top k are 32 bits.
inline constexpr int64_t kKeySetKeysMax = (int64_t{1} << 31) - 1;

// Elements of keys, or of values, and [m, d] matrices of a set. Far beyond any memory, and small
// enough that no sum of bytes overflows.
inline constexpr int64_t kKeySetElementsMax = int64_t{1} << 48;
inline constexpr int64_t kKeySetMatricesMax = int64_t{1} << 20;

// Elements of a key, or of a value: a row is held whole while it comes.
inline constexpr int64_t kKeySetColumnsMax = int64_t{1} << 20;

// Key sets of a server.
inline constexpr int64_t kKeySetsMax = 100'000;

// Uploads that may be under way at a time.
inline constexpr int64_t kUploadsMax = 64;

// --- Tiles --------------------------------------------------------------------------------------
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

// What a call of the matrix product costs before its first multiply-add, about 0.2 us, in those:
// requests may consist of a million products of 1 x 1.
inline constexpr int64_t kCallMultiplyAdds = 10'000;

// Weights, context and top k: rows of a block, keys that it takes at a time (their scores, 256 KiB,
// stay in the L2 cache), and elements of a block's result at most.
inline constexpr int64_t kBlockRows = 128;
inline constexpr int64_t kStepKeys = 512;
inline constexpr int64_t kBlockElements = int64_t{1} << 20;

// Key sets: elements of keys and values of a split, about 0.4 ms of reading (5 ms of multiplying
// with kBlockRows rows), multiply-adds that a tile aims at, about 1 ms, and what a core reads of
// packed keys.
inline constexpr int64_t kSplitElements = int64_t{2} << 20;
inline constexpr int64_t kPassTileMultiplyAdds = kTileMultiplyAdds / 4;
inline constexpr double kPanelBytesPerSecond = 16e9;

// What masking and weighing a score costs, about 1 ns, in multiply-adds.
inline constexpr int64_t kExpMultiplyAdds = 50;

// For predictions: what one core reads from memory and, where it must, converts. Measured values
// are two to three times this on an idle machine, where the cores do not share it.
inline constexpr double kElementsReadPerSecond = 1.5e9;

// Where elements must be converted to float32, at most so much of d is held converted at a time.
inline constexpr int64_t kDepthChunk = 512;

// --- The queue ----------------------------------------------------------------------------------

// Requests that may wait (--queue_requests_max).
inline constexpr int64_t kQueueRequestsMax = 10'000;

// Requests that one worker answers together at most.
inline constexpr int64_t kGroupRequestsMax = 64;

// Requests that share one pass over a key set at most.
inline constexpr int64_t kPassRequestsMax = 256;

}  // namespace qkserve

#endif  // QKSERVE_CORE_LIMITS_H_
