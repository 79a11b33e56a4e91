#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/storage/committer.h"
#include "core/key_sets/storage/directory_observer.h"
#include "core/key_sets/storage/directory_paths.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/last_version.h"
#include "core/key_sets/storage/segment_reader.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Makes sets of the NAME.safetensors files that other tools left in a directory.
class LooseFileImporter {
 public:
  // All must outlive the importer. `notes` gets what an operator should know.
  LooseFileImporter(const DirectoryPaths* paths, StoredSets* sets, LastVersion* last_version,
                    Committer* committer, const DirectoryObserver* observer,
                    std::vector<std::string>* notes)
      : paths_(*paths),
        files_(*paths->files()),
        sets_(*sets),
        last_version_(*last_version),
        committer_(*committer),
        observer_(*observer),
        notes_(*notes) {}

  // Imports all; a file that cannot be imported, every file for a reader, and every link is left
  // and noted. CANCELLED: is_stopping.
  absl::Status ImportAll(const std::vector<FileSystem::Entry>& entries);

 private:
  absl::Status ImportLooseFile(const std::string& name);
  // The manifest of a set that consists of the file.
  Manifest NewManifest(const std::string& name, const SegmentReader& reader);

  const DirectoryPaths& paths_;
  FileSystem& files_;
  StoredSets& sets_;
  LastVersion& last_version_;
  Committer& committer_;
  const DirectoryObserver& observer_;
  std::vector<std::string>& notes_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LOOSE_FILES_H_
