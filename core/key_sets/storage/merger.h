#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// The fewest segments that are merged at once.
inline constexpr size_t kMergeSegmentsMin = 16;

// Returns how many of the newest segments should be merged into one; 0: none. `segment_bytes` has
// the sizes of all segments from the oldest to the newest.
//
// The result is the smallest number, at least kMergeSegmentsMin, for which none of the segments has
// more than a fourth of their total bytes. The merged segment is then at least four times as large
// as any of its parts. A byte is therefore rewritten at most log4(bytes of the set) times, and a
// large base is rewritten only after three times its size was appended. If every append is followed
// by a merge, a set has some tens of segments, or some hundred if appends have very different
// sizes.
size_t SegmentsToMerge(absl::Span<const int64_t> segment_bytes);

// Copies the newest segments of a set into one, as many as SegmentsToMerge returns. The set may be
// changed meanwhile. Committer::ReplaceSegments later replaces these segments by the copy.
// NOT_FOUND: there is no such set. DATA_LOSS: the set is damaged.
absl::StatusOr<SegmentMerge> CopySegmentsToMerge(const StoredSets& sets, Committer& committer,
                                                 const std::string& name);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_
