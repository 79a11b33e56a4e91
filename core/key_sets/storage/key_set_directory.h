#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/loader.h"
#include "core/key_sets/storage/merger.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Key sets in files.
//
//   DIRECTORY/.lock                   held by the one writer
//   DIRECTORY/.synced                 the sets that need no sync when a writer opens: SyncedSets
//   DIRECTORY/.last_version           at least the greatest version of all deleted sets
//   DIRECTORY/.segment-*.tmp          a segment that is being written
//   DIRECTORY/.put-*.tmp/             a set that is being made
//   DIRECTORY/.deleted-VERSION-*.tmp/ a set that is being removed; VERSION is as in .last_version
//   DIRECTORY/NAME/manifest.json      the set's version and its segments, replaced atomically
//   DIRECTORY/NAME/segment-*          segments, immutable .safetensors files: `keys` and `values`
//   DIRECTORY/NAME.safetensors        left there by another tool; imported when a writer opens
//
// A new segment is written under a temporary name, synced and renamed, and its directory is synced.
// Then the manifest is replaced in the same way. If Put, Append or Delete returned OK, the change
// is durable. If it failed, the directory shows the complete previous version of the set or the
// complete new one. This object then keeps the previous version, and the next change continues from
// there. A change also fails if the directory's path now leads to another directory.
//
// A set's folder appears and disappears by one rename. A folder with segments but without a
// manifest is therefore an incomplete copy that another program made. Such a set answers DATA_LOSS,
// and none of its files are removed. Symbolic links are not followed. Copy sets into and out of a
// directory only while no writer has it open.
//
// Calls for different sets may run at the same time. For one set, only these may run beside another
// call: writing to its segments, CopyForMerge, ListNames, StoredVersion, FindChanges and, in a
// directory opened to read, Load.
class KeySetDirectory {
 public:
  using Mode = DirectoryMode;

  // Opens a directory. A writer makes the directory if it is missing, takes the lock, removes what
  // interrupted writes left and imports loose .safetensors files. A file that cannot be imported
  // stays, and notes() names it. FAILED_PRECONDITION: another writer has the directory. NOT_FOUND:
  // the directory of a reader is missing. CANCELLED: is_stopping returned true.
  static absl::StatusOr<std::unique_ptr<KeySetDirectory>> Open(
      FileSystem* files, const std::string& path, Mode mode,
      const DirectoryObserver& observer = {});
  ~KeySetDirectory();

  // Returns the path that was given to Open, without trailing slashes.
  const std::string& path() const { return state_.paths.root(); }
  // Returns the findings of Open that an operator should know.
  const std::vector<std::string>& notes() const { return state_.notes; }

  // Returns the greatest version number that is or ever was in use in the directory. A reader does
  // not update this number after Open.
  int64_t last_version() const { return state_.sets.last_version(); }

  // Returns the names of the sets in the directory, in order.
  absl::StatusOr<std::vector<std::string>> ListNames() const { return state_.sets.Names(); }

  // The differences between the directory and the sets that a reader serves. `served` gives the
  // version of each of these sets by name; 0: no version. A set is deleted if nothing in the
  // directory has its name. If all served sets are missing, they count as deleted only if
  // .last_version or the name of a set that is being removed shows a delete after the newest served
  // version was made. UNAVAILABLE: all are missing, and nothing shows a delete. Other errors are
  // those of listing the directory.
  struct Changes {
    std::vector<std::string> there;    // names in order; some sets may be damaged
    std::vector<std::string> deleted;  // names of served sets
  };
  absl::StatusOr<Changes> FindChanges(const std::map<std::string, int64_t>& served) const;

  // Returns the version in the manifest of a set. NOT_FOUND: there is no such set. DATA_LOSS: the
  // manifest is damaged.
  absl::StatusOr<int64_t> StoredVersion(const std::string& name) const;

  // Reads, checks and packs a set. `current` is the newest version of the set in memory, or null.
  // If the stored version grew from the same put, only segments with new rows are read. A reader
  // tries again if a writer replaces the set meanwhile. NOT_FOUND: there is no such set. CANCELLED:
  // is_stopping returned true. DATA_LOSS: a file is missing, damaged or does not fit; the message
  // says which. RESOURCE_EXHAUSTED: no memory. UNAVAILABLE: a writer replaces the set faster than
  // it is read.
  absl::StatusOr<std::shared_ptr<const KeySet>> Load(
      const std::string& name, ByteBudget* budget,
      const std::shared_ptr<const KeySet>& current) const {
    return LoadKeySet(state_, name, budget, current);
  }

  // Begins a segment. Its file is temporary until Put or Append takes the segment. If the segment
  // is destroyed before that, the file is removed. RESOURCE_EXHAUSTED: the disk is full.
  // INVALID_ARGUMENT: see KeySetLayout::Validate.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> NewSegment(const std::string& name,
                                                            const KeySetLayout& layout,
                                                            int64_t rows) {
    return committer_.NewSegment(name, layout, rows);
  }

  // Makes or replaces the set `name`. The set then has only this segment, and is at `version`.
  // `version` must never have been given before. It must be greater than the set's version, and
  // greater than last_version() was after Open. FAILED_PRECONDITION: the directory has something
  // else with this name.
  absl::Status Put(const std::string& name, int64_t version,
                   std::unique_ptr<SegmentWriter> segment) {
    return committer_.Put(name, version, std::move(segment));
  }

  // Adds the segment to the set, which is then at `version` (see Put). NOT_FOUND: there is no such
  // set. DATA_LOSS: the set is damaged. INVALID_ARGUMENT: the segment has another layout, or the
  // set would have too many keys.
  absl::Status Append(const std::string& name, int64_t version,
                      std::unique_ptr<SegmentWriter> segment) {
    return committer_.Append(name, version, std::move(segment));
  }

  // Deletes the set. NOT_FOUND: there is no such set.
  absl::Status Delete(const std::string& name) { return committer_.Delete(name); }

  // CopyForMerge and then FinishMerge replace the newest segments by one: see merger.h. The version
  // stays. Afterwards more may be left to merge.
  absl::StatusOr<SegmentMerge> CopyForMerge(const std::string& name) {
    return CopySegmentsToMerge(state_.sets, committer_, name);
  }
  // Puts the copy in place. Returns false and drops the copy if the set no longer has the segments
  // that were copied.
  absl::StatusOr<bool> FinishMerge(const std::string& name, SegmentMerge merge) {
    return committer_.ReplaceSegments(name, std::move(merge));
  }

 private:
  KeySetDirectory(FileSystem* files, const std::string& path, Mode mode,
                  const DirectoryObserver& observer)
      : state_(files, path, mode, observer) {}

  // Makes the directory and takes its lock.
  absl::Status OpenRoot();
  // Finds the sets. A writer also recovers them and imports loose files.
  absl::Status FindSets();
  void WriteSynced();

  DirectoryState state_;
  Committer committer_{&state_};
  std::optional<SyncedSets> synced_;  // the contents of .synced; nullopt: not opened by a writer
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_
