#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_MERGE_POLICY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_MERGE_POLICY_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace qkserve {

// Segments that are merged at once at least.
inline constexpr size_t kMergeSegmentsMin = 16;

// How many of the newest segments should become one, given the sizes of all from the oldest to the
// newest; 0: none.
//
// The fewest, kMergeSegmentsMin or more, of which none has more than a fourth of the bytes: the
// merged one is at least four times as large as any of them, so a byte is written again at most
// log4(bytes of the set) times, and a large base is left alone until three times as much was
// appended. Where this is asked after every append there are some tens of segments, or, with
// appends of very different sizes, some hundred.
size_t SegmentsToMerge(absl::Span<const int64_t> segment_bytes);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_MERGE_POLICY_H_
