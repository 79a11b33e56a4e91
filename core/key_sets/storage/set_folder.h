#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SET_FOLDER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SET_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/segment_reader.h"
#include "core/key_sets/storage/segment_writer.h"

namespace qkserve {

// The folder of one set: its manifest, its segments, and what others may have put there, which is
// never touched. Holds no state beside the path.
class SetFolder {
 public:
  SetFolder(FileSystem* files, std::string path) : files_(files), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // The path of a segment's file.
  std::string SegmentPath(const SegmentInfo& segment) const;

  bool Exists() const { return files_->Exists(path_); }
  // True if the folder holds a set, also if it cannot be read and so may hold one.
  bool IsSet() const;

  // The manifest of the set `name`. NOT_FOUND: neither a manifest nor a segment is there.
  // DATA_LOSS: it is missing or damaged; says why.
  absl::StatusOr<Manifest> ReadManifest(const std::string& name) const;

  // DATA_LOSS: the file is missing, damaged, or does not fit the manifest.
  absl::StatusOr<std::unique_ptr<SegmentReader>> OpenSegment(const Manifest& manifest,
                                                             const SegmentInfo& segment) const;

  // Replaces the manifest, durably and atomically. RESOURCE_EXHAUSTED: it has too many segments.
  absl::Status WriteManifest(const Manifest& manifest);

  // Moves a finished segment into the folder, durably, and adds it to `manifest` behind the others.
  absl::Status AddSegment(Manifest& manifest, SegmentWriter& segment, SegmentInfo info);

  absl::Status Sync() { return files_->SyncDirectory(path_); }

  // Removes the files of ours that `used` does not name; null: all of ours. Errors are ignored:
  // such files are removed again when a writer opens the directory.
  void RemoveFilesBut(const Manifest* used);
  // Removes our files, and the folder if it is empty then.
  void Remove();

 private:
  bool HasSegments() const;

  FileSystem* files_;
  std::string path_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SET_FOLDER_H_
