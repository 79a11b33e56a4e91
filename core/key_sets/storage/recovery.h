#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_

#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// These functions run when a directory is opened. `entries` are the directory's entries.

// Finds the last version and, for a writer, the sets. CANCELLED: is_stopping returned true.
absl::Status FindStoredSets(DirectoryState& state, const std::vector<FileSystem::Entry>& entries);

// Syncs the directory and the sets that `synced` does not have. Removes what interrupted writes
// left. Only writers call this function. CANCELLED: is_stopping returned true. Other errors are
// those of syncing the directory.
absl::Status SyncAndClear(DirectoryState& state, const std::vector<FileSystem::Entry>& entries,
                          const SyncedSets& synced);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
