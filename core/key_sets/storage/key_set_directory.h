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
//   DIRECTORY/.last_version           at least the version of every set that was deleted
//   DIRECTORY/.segment-*.tmp          a segment that is being written
//   DIRECTORY/.put-*.tmp/             a set that is being made
//   DIRECTORY/.deleted-VERSION-*.tmp/ a set that is being removed; VERSION is as in .last_version
//   DIRECTORY/NAME/manifest.json      the set's version and its segments, replaced atomically
//   DIRECTORY/NAME/segment-*          segments, immutable .safetensors files: `keys` and `values`
//   DIRECTORY/NAME.safetensors        left there by another tool; imported when a writer opens
//
// A change is written under a temporary name, synced and renamed, and its directory is synced. Then
// the manifest is replaced in the same way. If Put, Append or Delete returned OK, the change
// survives the end of the process and of the machine. If it failed, the directory shows the set's
// previous version or the new one, whole. This object then keeps to the previous version, and the
// next change continues from there. A change also fails if the directory's path has come to lead to
// another directory.
//
// A set's folder appears and disappears whole, by a rename. So a folder with segments and no
// manifest is an incomplete copy made by other means: it answers DATA_LOSS, and nothing of it is
// removed. Symbolic links are not followed. Copy sets into and out of a directory only while no
// writer has it open.
//
// Calls for different sets may run at the same time. Calls for one set must not, with these
// exceptions: writing to its segments, CopyForMerge, ListNames, StoredVersion, FindChanges and, in
// a directory opened to read, Load.
class KeySetDirectory {
 public:
  using Mode = DirectoryMode;

  // kWriter: makes the directory if it is missing, takes the lock, clears what interrupted writes
  // left and imports loose .safetensors files. A file that cannot be imported stays, and notes()
  // names it. FAILED_PRECONDITION: another writer has the directory. NOT_FOUND: kReader, and the
  // directory is missing. CANCELLED: is_stopping.
  static absl::StatusOr<std::unique_ptr<KeySetDirectory>> Open(
      FileSystem* files, const std::string& path, Mode mode,
      const DirectoryObserver& observer = {});
  ~KeySetDirectory();

  // The path as it was given, without trailing slashes.
  const std::string& path() const { return state_.paths.root(); }
  // Findings of Open that an operator should know.
  const std::vector<std::string>& notes() const { return state_.notes; }

  // The greatest version number that is or ever was in use in the directory. A reader knows it as
  // of Open.
  int64_t last_version() const { return state_.sets.last_version(); }

  // The names of the sets in the directory, in order.
  absl::StatusOr<std::vector<std::string>> ListNames() const { return state_.sets.Names(); }

  // The differences to the sets that a reader serves. These are given by name and version (0:
  // none). A set counts as deleted if nothing has its name and the directory is evidently still the
  // same. It is the same if another served set is there, or if .last_version or the name of a set
  // that is being removed tells of a later delete. UNAVAILABLE: it may be another directory. Other
  // errors are those of listing it.
  struct Changes {
    std::vector<std::string> there;    // names in order; some sets may be damaged
    std::vector<std::string> deleted;  // names of served sets
  };
  absl::StatusOr<Changes> FindChanges(const std::map<std::string, int64_t>& served) const;

  // The version in the manifest of a set. NOT_FOUND: there is no such set. DATA_LOSS: the manifest
  // is damaged.
  absl::StatusOr<int64_t> StoredVersion(const std::string& name) const;

  // Reads, checks and packs a set. `current` may be its newest version in memory. If the stored
  // version grew from the same put, only segments with something new are read. A reader tries again
  // if a writer replaces the set meanwhile. NOT_FOUND. CANCELLED: is_stopping. DATA_LOSS: a file is
  // missing, damaged or does not fit; the message says which. RESOURCE_EXHAUSTED: no memory.
  // UNAVAILABLE: the writer is faster.
  absl::StatusOr<std::shared_ptr<const KeySet>> Load(
      const std::string& name, ByteBudget* budget,
      const std::shared_ptr<const KeySet>& current) const {
    return LoadKeySet(state_, name, budget, current);
  }

  // Begins a segment. It is a temporary file until Put or Append takes it. If it is destroyed
  // before, the file is removed. RESOURCE_EXHAUSTED: the disk is full. INVALID_ARGUMENT: see
  // KeySetLayout::Validate.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> NewSegment(const std::string& name,
                                                            const KeySetLayout& layout,
                                                            int64_t rows) {
    return committer_.NewSegment(name, layout, rows);
  }

  // Makes the segment the whole set `name`, at `version`. `version` must never have been given
  // before. It must be greater than the set's version and than last_version() was after Open.
  // FAILED_PRECONDITION: something else has that name.
  absl::Status Put(const std::string& name, int64_t version,
                   std::unique_ptr<SegmentWriter> segment) {
    return committer_.Put(name, version, std::move(segment));
  }

  // Adds the segment to the set, which is then at `version` (as for Put). NOT_FOUND, DATA_LOSS.
  // INVALID_ARGUMENT: the segment has another layout, or the set would have too many keys.
  absl::Status Append(const std::string& name, int64_t version,
                      std::unique_ptr<SegmentWriter> segment) {
    return committer_.Append(name, version, std::move(segment));
  }

  // Deletes the set. NOT_FOUND: there is no such set.
  absl::Status Delete(const std::string& name) { return committer_.Delete(name); }

  // These replace the newest segments by one, in two steps: see merger.h. The version stays. There
  // may be more to merge afterwards.
  absl::StatusOr<SegmentMerge> CopyForMerge(const std::string& name) {
    return CopySegmentsToMerge(state_.sets, committer_, name);
  }
  // Returns false if the set was changed meanwhile. The copy is then dropped.
  absl::StatusOr<bool> FinishMerge(const std::string& name, SegmentMerge merge) {
    return committer_.ReplaceSegments(name, std::move(merge));
  }

 private:
  KeySetDirectory(FileSystem* files, const std::string& path, Mode mode,
                  const DirectoryObserver& observer)
      : state_(files, path, mode, observer) {}

  // Makes the directory and takes its lock.
  absl::Status OpenRoot();
  // Finds the sets. A writer also recovers and imports what is there.
  absl::Status FindSets();
  void WriteSynced();

  DirectoryState state_;
  Committer committer_{&state_};
  std::optional<SyncedSets> synced_;  // the contents of .synced; nullopt: no writer has opened it
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_
