#include "core/key_sets/storage/loose_files.h"

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_name.h"

namespace qkserve {
namespace {

// Makes the manifest of a set that consists of this file.
Manifest NewManifest(StoredSets& sets, const std::string& name, const SegmentReader& reader) {
  const int64_t version = sets.last_version() + 1;
  sets.RaiseLastVersion(version);
  return {.name = name,
          .version = version,
          .base_version = version,
          .layout = reader.layout(),
          .segments = {{.file = SegmentFile(version, 0, reader.rows()),
                        .keys = reader.rows(),
                        .bytes = reader.bytes(),
                        .checksum = reader.FileChecksum()}}};
}

// Writes the set's manifest, then moves the file into the set's folder. If the process ends in
// between, the file still has its old name, and the next process finishes the import.
absl::Status ImportLooseFile(DirectoryState& state, Committer& committer, const std::string& name,
                             const std::string& path) {
  RETURN_IF_ERROR(ValidateKeySetName(name));
  if (state.mode == DirectoryMode::kReader) {
    return absl::FailedPreconditionError("a writer takes such files in when it starts");
  }
  FileSystem& files = state.files();
  SetFolder folder = state.sets.FolderOf(name);
  absl::StatusOr<Manifest> manifest = state.sets.Find(name);
  const bool is_half_done = manifest.ok() && manifest->segments.size() == 1 &&
                            !files.Exists(folder.SegmentPath(manifest->segments[0]));
  if (!absl::IsNotFound(manifest.status()) && !is_half_done) {
    return absl::AlreadyExistsError("there is a key set of this name");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<SegmentReader> reader, SegmentReader::Open(&files, path));
  RETURN_IF_ERROR(reader->ReadAll([&](auto&&...) { return state.observer.CheckNotStopping(); }));
  // The file is synced, because the other tool may not have synced it.
  RETURN_IF_ERROR(files.SyncFile(path));
  if (!is_half_done) {
    manifest = NewManifest(state.sets, name, *reader);
    RETURN_IF_ERROR(committer.AddManifest(*manifest));
  } else if (reader->FileChecksum() != manifest->segments[0].checksum) {
    return absl::AlreadyExistsError("there is a key set of this name, and it is not this file");
  }
  absl::Status status = files.Rename(path, folder.SegmentPath(manifest->segments[0]));
  if (!status.ok() && files.Exists(path)) {
    // The set is removed, because without the file it would be damaged.
    committer.RemoveSet(name).IgnoreError();
    state.sets.Erase(name);
  }
  if (status.ok()) status = folder.Sync();
  if (status.ok()) status = files.SyncDirectory(state.paths.root());
  if (!status.ok()) state.sets.MarkUnacknowledgedChange(name);
  return status;
}

}  // namespace

absl::Status ImportLooseFiles(DirectoryState& state, Committer& committer,
                              const std::vector<FileSystem::Entry>& entries) {
  return state.observer.ForEach("taking in files", entries, [&](const FileSystem::Entry& entry) {
    const std::string path = state.paths.Path(entry.name);
    absl::string_view name = entry.name;
    const bool has_suffix = absl::ConsumeSuffix(&name, ".safetensors");
    if (entry.is_link && ValidateKeySetName(name).ok()) {
      state.notes.push_back(path + ": is not served: a link, give the files");
      return;
    }
    if (entry.is_directory || !has_suffix) return;
    const absl::Status status = ImportLooseFile(state, committer, std::string(name), path);
    if (status.ok()) return;
    absl::string_view cause = status.message();
    absl::ConsumePrefix(&cause, path + ": ");
    state.notes.push_back(absl::StrCat(path, ": is not served: ", cause));
  });
}

}  // namespace qkserve
