#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "core/key_sets/storage/directory_paths.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/set_folder.h"
#include "core/key_sets/storage/synced_sets.h"

namespace qkserve {

// A reader looks at the files each time. A writer, which is alone, keeps in memory what it
// acknowledged.
enum class DirectoryMode { kWriter, kReader };

// The sets of a directory. Thread-safe.
class StoredSets {
 public:
  StoredSets(const DirectoryPaths* paths, DirectoryMode mode) : paths_(*paths), mode_(mode) {}

  DirectoryMode mode() const { return mode_; }
  SetFolder FolderOf(const std::string& name) const {
    return SetFolder(paths_.files(), paths_.Path(name));
  }

  // In order. Or the error of listing the directory.
  absl::StatusOr<std::vector<std::string>> Names() const;

  // The current manifest. INVALID_ARGUMENT: the name. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<Manifest> Find(const std::string& name) const;

  // The rest is for a writer alone.

  // Adds a set, damaged or not, in place of one that is there.
  void Insert(const std::string& name, absl::StatusOr<Manifest> manifest,
              bool has_unacknowledged_change = false);
  void Erase(const std::string& name);

  // Makes `manifest` the acknowledged one of a set that is there.
  void Acknowledge(const Manifest& manifest);

  // A change of the set failed but may be visible to readers: see the table in committer.cc.
  void MarkUnacknowledgedChange(const std::string& name);
  bool HasUnacknowledgedChange(const std::string& name) const;

  // Those whose files are durable.
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
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_STORED_SETS_H_
