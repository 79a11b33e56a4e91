#include "core/key_sets/storage/loose_files.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/storage/segment_rows.h"

namespace qkserve {

absl::Status LooseFileImporter::ImportAll(const std::vector<FileSystem::Entry>& entries) {
  ProgressReport progress(observer_, "taking in files", entries.size());
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = progress.BeginStep();
    if (!status.ok()) return status;
    absl::string_view name = entry.name;
    const bool has_suffix = absl::ConsumeSuffix(&name, kLooseFileSuffix);
    if (entry.is_link && ValidateKeySetName(name).ok()) {
      notes_.push_back(
          absl::StrCat(paths_.Path(entry.name), ": is not served: a link, give the files"));
      continue;
    }
    if (entry.is_directory || !has_suffix) continue;
    status = ImportLooseFile(std::string(name));
    if (status.ok()) continue;
    const std::string prefix = absl::StrCat(paths_.LooseFile(name), ": ");
    absl::string_view cause = status.message();
    absl::ConsumePrefix(&cause, prefix);
    notes_.push_back(absl::StrCat(prefix, "is not served: ", cause));
  }
  return observer_.CheckNotStopping();
}

// The set's manifest is written before the file is moved to it, so that the file always has a name
// that its owner knows. If the process ends in between, the next one finishes the import.
absl::Status LooseFileImporter::ImportLooseFile(const std::string& name) {
  absl::Status status = ValidateKeySetName(name);
  if (!status.ok()) return status;
  if (sets_.mode() == DirectoryMode::kReader) {
    return absl::FailedPreconditionError("a writer takes such files in when it starts");
  }
  const std::string path = paths_.LooseFile(name);
  SetFolder folder = sets_.FolderOf(name);
  absl::StatusOr<Manifest> manifest = sets_.Find(name);
  const bool is_half_done = manifest.ok() && manifest->segments.size() == 1 &&
                            !files_.Exists(folder.SegmentPath(manifest->segments[0]));
  if (!absl::IsNotFound(manifest.status()) && !is_half_done) {
    return absl::AlreadyExistsError("there is a key set of this name");
  }
  absl::StatusOr<std::unique_ptr<SegmentReader>> reader = SegmentReader::Open(&files_, path);
  if (!reader.ok()) return reader.status();
  status = ReadRows(**reader, [this](auto&&...) { return observer_.CheckNotStopping(); });
  // The other tool may not have synced it.
  if (status.ok()) status = files_.SyncFile(path);
  if (!status.ok()) return status;
  if (is_half_done && (*reader)->FileChecksum() != manifest->segments[0].checksum) {
    return absl::AlreadyExistsError("there is a key set of this name, and it is not this file");
  }
  if (!is_half_done) {
    manifest = NewManifest(name, **reader);
    status = committer_.AddManifest(*manifest);
    if (!status.ok()) return status;
  }
  status = files_.Rename(path, folder.SegmentPath(manifest->segments[0]));
  if (!status.ok() && files_.Exists(path)) {
    // Without the file the set would be damaged.
    committer_.RemoveSet(name).IgnoreError();
    sets_.Erase(name);
  }
  if (status.ok()) status = folder.Sync();
  if (status.ok()) status = files_.SyncDirectory(paths_.root());
  if (!status.ok()) sets_.MarkUnacknowledgedChange(name);
  return status;
}

Manifest LooseFileImporter::NewManifest(const std::string& name, const SegmentReader& reader) {
  const int64_t version = last_version_.value() + 1;
  last_version_.Raise(version);
  return {.name = name,
          .version = version,
          .base_version = version,
          .layout = reader.layout(),
          .segments = {{.file = SegmentFile(version, 0, reader.rows()),
                        .keys = reader.rows(),
                        .bytes = reader.bytes(),
                        .checksum = reader.FileChecksum()}}};
}

}  // namespace qkserve
