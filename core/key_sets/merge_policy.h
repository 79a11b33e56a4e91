#ifndef QKSERVE_CORE_KEY_SETS_MERGE_POLICY_H_
#define QKSERVE_CORE_KEY_SETS_MERGE_POLICY_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace qkserve {

// Segments that are merged at once at least.
inline constexpr size_t kMergeSegmentsMin = 16;

// How many of the newest segments should become one, given the sizes of all from the oldest to the
// newest; 0: none.
//
// The fewest, kMergeSegmentsMin or more, of which none has more bytes than the others together: the
// merged one is at least twice as large as any of them, so a byte is written again at most
// log2(bytes of the set) times, and after appends of one size log16(appends) times. A large base is
// left alone until as much was appended. Where this is asked after every append, at most
// kMergeSegmentsMin segments stand between two of which the older is more than twice as large:
// their number grows with the logarithm of the set.
size_t SegmentsToMerge(absl::Span<const int64_t> segment_bytes);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_MERGE_POLICY_H_
