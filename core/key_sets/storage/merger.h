#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/loader.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/segment_writer.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// A copy of some segments of a set, which may take their place.
struct SegmentMerge {
  std::vector<SegmentInfo> from;
  SegmentInfo info;
  std::unique_ptr<SegmentWriter> merged;  // null: there is nothing to merge
};

// Merges the small, newest segments of a set into one, where SegmentsToMerge says so.
class Merger {
 public:
  Merger(const StoredSets* sets, const Loader* loader, Committer* committer)
      : sets_(*sets), loader_(*loader), committer_(*committer) {}

  // Copies; the set may be changed meanwhile. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<SegmentMerge> Copy(const std::string& name);

  // Puts the copy in place, which is a change like others. false: the set no longer has the
  // segments that were copied. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<bool> Finish(const std::string& name, SegmentMerge merge) {
    return committer_.ReplaceSegments(name, merge.from, *merge.merged, std::move(merge.info));
  }

 private:
  // Copies the newest `count` segments.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> CopyNewest(const Manifest& manifest, size_t count);

  const StoredSets& sets_;
  const Loader& loader_;
  Committer& committer_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_MERGER_H_
