#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_

#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// These find what is in a directory when it is opened. `entries` are the directory's entries.

// Finds the last version and, for a writer, the sets. CANCELLED: is_stopping.
absl::Status FindStoredSets(DirectoryState& state, const std::vector<FileSystem::Entry>& entries);

// For a writer. Makes durable what is there, except for the sets that `synced` has. Then removes
// what interrupted writes left. CANCELLED: is_stopping. Other errors are those of syncing the
// directory.
absl::Status SyncAndClear(DirectoryState& state, const std::vector<FileSystem::Entry>& entries,
                          const SyncedSets& synced);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
