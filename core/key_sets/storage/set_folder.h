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

// The folder of one set, with its manifest and its segments. Other files in the folder are never
// touched. The object has no state except the path.
class SetFolder {
 public:
  SetFolder(FileSystem* files, std::string path) : files_(files), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Returns the path of a segment's file.
  std::string SegmentPath(const SegmentInfo& segment) const;

  bool Exists() const { return files_->Exists(path_); }
  // True if the folder holds a set, or cannot be read and may therefore hold one.
  bool IsSet() const;

  // Returns the manifest of the set `name`. NOT_FOUND: there is neither a manifest nor a segment.
  // DATA_LOSS: the manifest is missing or damaged; the message says why.
  absl::StatusOr<Manifest> ReadManifest(const std::string& name) const;

  // Opens a segment. DATA_LOSS: the file is missing, damaged, or does not fit the manifest.
  absl::StatusOr<std::unique_ptr<SegmentReader>> OpenSegment(const Manifest& manifest,
                                                             const SegmentInfo& segment) const;

  // Replaces the manifest, durably and atomically. RESOURCE_EXHAUSTED: the manifest has too many
  // segments.
  absl::Status WriteManifest(const Manifest& manifest);

  // Moves a finished segment into the folder durably. Adds the segment to the end of `manifest`.
  // After an error, calls TakeBackSegment.
  absl::Status AddSegment(Manifest& manifest, SegmentWriter& segment, SegmentInfo info);
  // Removes a segment's file after a change failed, because the disk may be full. Keeps the file if
  // the folder's manifest cannot be read or names the file. A manifest may name the file, because a
  // merge that is tried again gives its segment the same name.
  void TakeBackSegment(const std::string& name, const std::string& file);

  absl::Status Sync() { return files_->SyncDirectory(path_); }

  // Removes the set's files that `used` does not name, or all of them if `used` is null. Errors are
  // ignored, because the next writer that opens the directory removes such files.
  void RemoveFilesBut(const Manifest* used);
  // Removes the set's files, and the folder if it is then empty.
  void Remove();

 private:
  bool HasSegments() const;

  FileSystem* files_;
  std::string path_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SET_FOLDER_H_
