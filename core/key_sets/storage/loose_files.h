#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_

#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Makes sets of the NAME.safetensors files that other tools left in a directory. `entries` are the
// directory's entries. These are left and noted: a file that cannot be imported, every link and,
// for a reader, every file. CANCELLED: is_stopping.
absl::Status ImportLooseFiles(DirectoryState& state, Committer& committer,
                              const std::vector<FileSystem::Entry>& entries);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
