#include "core/key_sets/storage/merge_policy.h"

#include <algorithm>

namespace qkserve {

size_t SegmentsToMerge(absl::Span<const int64_t> segment_bytes) {
  int64_t sum = 0;
  int64_t largest = 0;
  for (size_t count = 1; count <= segment_bytes.size(); ++count) {
    const int64_t bytes = segment_bytes[segment_bytes.size() - count];
    sum += bytes;
    largest = std::max(largest, bytes);
    if (count >= kMergeSegmentsMin && largest <= sum / 4) return count;
  }
  return 0;
}

}  // namespace qkserve
