#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "core/key_sets/storage/directory_observer.h"
#include "core/key_sets/storage/directory_paths.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/set_folder.h"
#include "core/key_sets/storage/synced_sets.h"

namespace qkserve {

// A reader reads the files at each call. The one writer keeps in memory what it has acknowledged.
enum class DirectoryMode { kWriter, kReader };

// The sets of a directory, and the greatest version number that is or ever was in use there. The
// file .last_version keeps the versions of deleted sets from being used again. Thread-safe.
class StoredSets {
 public:
  StoredSets(const DirectoryPaths* paths, DirectoryMode mode) : paths_(*paths), mode_(mode) {}

  // Returns the folder of a set. The folder may be missing.
  SetFolder FolderOf(const std::string& name) const {
    return SetFolder(paths_.files(), paths_.Path(name));
  }

  // Returns the names of the sets, in order. Errors are those of listing the directory.
  absl::StatusOr<std::vector<std::string>> Names() const;

  // Returns the current manifest of a set. INVALID_ARGUMENT: `name` is not a valid name. NOT_FOUND:
  // there is no such set. DATA_LOSS: its files are damaged.
  absl::StatusOr<Manifest> Find(const std::string& name) const;

  // Returns the greatest version that is or ever was in use, as far as this process knows.
  int64_t last_version() const;
  // Raises the last version to `version` if it is smaller.
  void RaiseLastVersion(int64_t version);

  // Returns the version in .last_version. NOT_FOUND: there is no file. DATA_LOSS: the file holds
  // something else.
  absl::StatusOr<int64_t> ReadLastVersion() const;

  // Only a writer calls the functions below.

  // Writes the last version to .last_version, durably.
  absl::Status WriteLastVersion();

  // Adds or replaces a set. A damaged set has an error in place of its manifest.
  // `has_unacknowledged_change`: a change of the set failed, but readers may see it. See the table
  // in committer.cc.
  void Insert(const std::string& name, absl::StatusOr<Manifest> manifest,
              bool has_unacknowledged_change = false);
  // Removes a set from memory.
  void Erase(const std::string& name);

  // These set and read has_unacknowledged_change of a set.
  void MarkUnacknowledgedChange(const std::string& name);
  bool HasUnacknowledgedChange(const std::string& name) const;

  // Returns the sets whose files are durable.
  SyncedSets Durable() const;

 private:
  struct StoredSet {
    absl::StatusOr<Manifest> manifest;
    bool has_unacknowledged_change = false;
  };

  const DirectoryPaths& paths_;
  const DirectoryMode mode_;
  mutable Mutex mutex_;
  std::map<std::string, StoredSet> sets_ ABSL_GUARDED_BY(mutex_);  // empty for a reader
  int64_t last_version_ ABSL_GUARDED_BY(mutex_) = 0;
  Mutex file_mutex_;  // held while .last_version is written
};

// The state that the parts of a KeySetDirectory share.
struct DirectoryState {
  DirectoryState(FileSystem* file_system, const std::string& root, DirectoryMode directory_mode,
                 DirectoryObserver directory_observer)
      : mode(directory_mode), observer(std::move(directory_observer)), paths(file_system, root) {}

  FileSystem& files() const { return *paths.files(); }

  const DirectoryMode mode;
  const DirectoryObserver observer;
  DirectoryPaths paths;
  StoredSets sets{&paths, mode};
  std::vector<std::string> notes;  // for the operator; not changed after Open
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_
