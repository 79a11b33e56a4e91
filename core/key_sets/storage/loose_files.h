#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_

#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Imports the NAME.safetensors files that other tools left in a directory. `entries` are the
// directory's entries. A file that cannot be imported stays and is noted. Links are never imported,
// and a reader imports nothing. CANCELLED: is_stopping returned true.
absl::Status ImportLooseFiles(DirectoryState& state, Committer& committer,
                              const std::vector<FileSystem::Entry>& entries);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
