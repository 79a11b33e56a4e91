#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_COMMITTER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_COMMITTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// A segment that is a copy of several segments of a set. ReplaceSegments replaces them by the copy.
struct SegmentMerge {
  std::vector<SegmentInfo> from;
  SegmentInfo info;
  std::unique_ptr<SegmentWriter> merged;  // null: there is nothing to merge
};

// Changes the sets of a directory. A change that returned OK is durable. After a change that
// failed, the disk has the complete previous version or the complete new one. Memory has the
// previous version.
//
// Calls for different sets may run at the same time. For one set, only NewSegment may run beside
// another call.
class Committer {
 public:
  explicit Committer(DirectoryState* state)
      : paths_(state->paths), files_(*paths_.files()), sets_(state->sets) {}

  // Keeps the lock. CheckRoot then compares the directory's path with the locked directory.
  void HoldLock(std::unique_ptr<FileLock> lock) { lock_ = std::move(lock); }
  // Returns INTERNAL if the path no longer leads to the directory that was opened.
  absl::Status CheckRoot() const;

  // See the same functions of KeySetDirectory.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> NewSegment(const std::string& name,
                                                            const KeySetLayout& layout,
                                                            int64_t rows);
  absl::Status Put(const std::string& name, int64_t version,
                   std::unique_ptr<SegmentWriter> segment);
  absl::Status Append(const std::string& name, int64_t version,
                      std::unique_ptr<SegmentWriter> segment);
  absl::Status Delete(const std::string& name);

  // Replaces the copied segments by the copy. This is a change like the others, but the version
  // stays. Returns false if the set no longer has the segments that were copied. NOT_FOUND: there
  // is no such set. DATA_LOSS: the set is damaged.
  absl::StatusOr<bool> ReplaceSegments(const std::string& name, SegmentMerge merge);

  // Adds a set with a manifest. The caller adds the files of the segments later.
  absl::Status AddManifest(Manifest manifest) { return AddSet(std::move(manifest), nullptr, {}); }
  // Removes the set's folder durably. After an error the folder may still be there.
  absl::Status RemoveSet(const std::string& name);

 private:
  // Replaces the manifest of an existing set. After an error, calls TakeBackSegment for the new
  // segment's file `added`.
  absl::Status StoreManifest(const Manifest& manifest, const std::string& added);
  // Adds a new set, with the segment if it is not null.
  absl::Status AddSet(Manifest manifest, SegmentWriter* segment, SegmentInfo info);
  // Renames a set to `temporary` (see DeletedPath) and removes its files. Then writes
  // .last_version. The files go first, because writing may need their disk space. The folder is
  // removed only after .last_version was written, because the version in its name must not be given
  // again.
  absl::Status MoveAndRemove(const std::string& name, const std::string& temporary);

  DirectoryPaths& paths_;
  FileSystem& files_;
  StoredSets& sets_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_COMMITTER_H_
