#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_PATHS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_PATHS_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/storage/file_system.h"

namespace qkserve {

// Names of files in a directory of key sets. key_set_directory.h shows the whole directory.

// Returns "segment-VERSION-BEGIN-END.safetensors". The name is unique in a set, because a version
// adds one segment and a merged segment has other rows.
std::string SegmentFile(int64_t version, int64_t first_row, int64_t rows);
// Returns the version in a name that SegmentFile made, or 0 for any other name.
int64_t VersionOfSegment(absl::string_view file);

// True if the entry is a folder, and its name is valid for a set.
bool MayBeSet(const FileSystem::Entry& entry);
// True if a file or folder has this name only while it is written or removed.
bool IsTemporary(absl::string_view name);
// Returns the version in the name of a set that is being removed, or 0 for any other name.
int64_t VersionOfDeleted(absl::string_view name);

// Paths below a directory. Thread-safe.
class DirectoryPaths {
 public:
  DirectoryPaths(FileSystem* files, std::string root) : files_(files), root_(std::move(root)) {}

  FileSystem* files() const { return files_; }
  const std::string& root() const { return root_; }

  std::string Path(absl::string_view name) const { return absl::StrCat(root_, "/", name); }

  // Returns a new path, ROOT/.KIND-SET-NUMBER.tmp. No file has this path, and no other call returns
  // it.
  std::string TemporaryPath(absl::string_view kind, absl::string_view set);
  // Returns a new path for a set that is being removed. `version` is the directory's last version.
  std::string DeletedPath(int64_t version, absl::string_view set) {
    return TemporaryPath(absl::StrCat("deleted-", version), set);
  }

 private:
  FileSystem* const files_;
  const std::string root_;
  std::atomic<int64_t> temporary_count_{0};
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_PATHS_H_
