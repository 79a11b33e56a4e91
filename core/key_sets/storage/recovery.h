#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_

#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Both find what is in a directory when it is opened. `entries` are its entries.

// Finds the last version and, for a writer, the sets. CANCELLED: is_stopping.
absl::Status FindStoredSets(DirectoryState& state, const std::vector<FileSystem::Entry>& entries);

// For a writer: makes durable what is there, all but the sets that `synced` has, then removes what
// interrupted writes left. CANCELLED: is_stopping. Or the error of syncing the directory.
absl::Status SyncAndClear(DirectoryState& state, const std::vector<FileSystem::Entry>& entries,
                          const SyncedSets& synced);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_RECOVERY_H_
