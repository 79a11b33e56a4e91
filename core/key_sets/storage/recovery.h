#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/directory_observer.h"
#include "core/key_sets/storage/directory_paths.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/last_version.h"
#include "core/key_sets/storage/stored_sets.h"
#include "core/key_sets/storage/synced_sets.h"

namespace qkserve {

// Finds what is in a directory when it is opened, and clears what interrupted writes left.
class Recovery {
 public:
  using Entries = std::vector<FileSystem::Entry>;

  // All must outlive the object. `notes` gets what an operator should know.
  Recovery(const DirectoryPaths* paths, StoredSets* sets, LastVersion* last_version,
           const DirectoryObserver* observer, std::vector<std::string>* notes)
      : paths_(*paths),
        files_(*paths->files()),
        sets_(*sets),
        last_version_(*last_version),
        observer_(*observer),
        notes_(*notes) {}

  // Finds the last version and, for a writer, the sets. `entries` are those of the directory.
  // CANCELLED: is_stopping.
  absl::Status FindSets(const Entries& entries);

  // For a writer: makes durable what is there, all but the sets that `synced` has, then removes
  // what nothing names. CANCELLED: is_stopping. Or the error of syncing the directory.
  absl::Status SyncAndClear(const Entries& entries, const SyncedSets& synced);

 private:
  // False: .last_version is damaged.
  bool ReadLastVersion();
  void FindSet(const std::string& name);
  void SyncAndClearSet(const std::string& name, const SyncedSets& synced);
  void RemoveTemporary(const FileSystem::Entry& entry);

  const DirectoryPaths& paths_;
  FileSystem& files_;
  StoredSets& sets_;
  LastVersion& last_version_;
  const DirectoryObserver& observer_;
  std::vector<std::string>& notes_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
