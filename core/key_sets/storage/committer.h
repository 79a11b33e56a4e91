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

// A copy of some segments of a set. ReplaceSegments may put it in their place.
struct SegmentMerge {
  std::vector<SegmentInfo> from;
  SegmentInfo info;
  std::unique_ptr<SegmentWriter> merged;  // null: there is nothing to merge
};

// Changes the sets of a directory. A change that returned OK survives the end of the process and of
// the machine. After a change that failed, the disk has the previous version or the new one, whole;
// memory has the previous version.
//
// Calls for different sets may run at the same time. Calls for one set must not, except for
// NewSegment.
class Committer {
 public:
  explicit Committer(DirectoryState* state)
      : paths_(state->paths), files_(*paths_.files()), sets_(state->sets) {}

  // Keeps the lock. From now on CheckRoot compares the directory's path with the directory that is
  // locked.
  void HoldLock(std::unique_ptr<FileLock> lock) { lock_ = std::move(lock); }
  // INTERNAL: the path leads to another directory than the one that was opened.
  absl::Status CheckRoot() const;

  // KeySetDirectory says what these do.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> NewSegment(const std::string& name,
                                                            const KeySetLayout& layout,
                                                            int64_t rows);
  absl::Status Put(const std::string& name, int64_t version,
                   std::unique_ptr<SegmentWriter> segment);
  absl::Status Append(const std::string& name, int64_t version,
                      std::unique_ptr<SegmentWriter> segment);
  absl::Status Delete(const std::string& name);

  // Puts the copy in place. This is a change like others, but the version stays. Returns false if
  // the set no longer has the segments that were copied. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<bool> ReplaceSegments(const std::string& name, SegmentMerge merge);

  // Adds a set with a manifest. Its segments are added later.
  absl::Status AddManifest(Manifest manifest) { return AddSet(std::move(manifest), nullptr, {}); }
  // Removes the set's folder durably. After an error the folder may be gone or not.
  absl::Status RemoveSet(const std::string& name);

 private:
  // Replaces the manifest of an existing set. An error takes the new segment's file `added` back.
  absl::Status StoreManifest(const Manifest& manifest, const std::string& added);
  // Adds a new set, with the segment if it is not null.
  absl::Status AddSet(Manifest manifest, SegmentWriter* segment, SegmentInfo info);
  // Renames a set to `temporary`, a DeletedPath, and removes its files. The path keeps the version,
  // which must not be given again, until .last_version has it. That file may need the disk space
  // that is freed here.
  absl::Status MoveAndRemove(const std::string& name, const std::string& temporary);

  DirectoryPaths& paths_;
  FileSystem& files_;
  StoredSets& sets_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_COMMITTER_H_
