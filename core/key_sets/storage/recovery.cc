#include "core/key_sets/storage/recovery.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// The last version is raised by this number if the greatest deleted version is unknown.
constexpr int64_t kVersionJump = int64_t{1} << 32;

void FindSet(DirectoryState& state, const std::string& name) {
  StoredSets& sets = state.sets;
  const absl::StatusOr<Manifest> manifest = sets.FolderOf(name).ReadManifest(name);
  if (manifest.ok()) sets.RaiseLastVersion(manifest->version);
  // The names of segments show versions even if the manifest is damaged.
  const auto files = state.files().List(state.paths.Path(name));
  if (files.ok()) {
    for (const FileSystem::Entry& file : *files) sets.RaiseLastVersion(VersionOfSegment(file.name));
  }
  if (absl::IsNotFound(manifest.status())) return;
  if (!manifest.ok()) state.notes.emplace_back(manifest.status().message());
  if (state.mode == DirectoryMode::kWriter) sets.Insert(name, manifest);
}

void RemoveTemporary(DirectoryState& state, const FileSystem::Entry& entry) {
  const std::string path = state.paths.Path(entry.name);
  if (!entry.is_directory) {
    state.files().Remove(path).IgnoreError();
    return;
  }
  SetFolder folder(&state.files(), path);
  folder.Remove();
  if (folder.Exists()) {
    state.notes.push_back(path + ": is left of a deleted key set and holds files of others");
  }
}

void SyncAndClearSet(DirectoryState& state, const std::string& name, const SyncedSets& synced) {
  const absl::StatusOr<Manifest> manifest = state.sets.Find(name);
  // No file of a damaged set is removed, because an operator may want to repair it.
  if (!manifest.ok()) return;
  SetFolder folder = state.sets.FolderOf(name);
  const absl::Status status = synced.Has(*manifest) ? absl::OkStatus() : folder.Sync();
  if (status.ok()) {
    folder.RemoveFilesBut(&*manifest);
    return;
  }
  state.notes.emplace_back(status.message());
  state.sets.Insert(name, absl::DataLossError(status.message()));
}

}  // namespace

absl::Status FindStoredSets(DirectoryState& state, const std::vector<FileSystem::Entry>& entries) {
  StoredSets& sets = state.sets;
  const absl::StatusOr<int64_t> stored = sets.ReadLastVersion();
  sets.RaiseLastVersion(stored.value_or(0));
  const bool is_damaged = absl::IsDataLoss(stored.status());
  if (is_damaged) {
    state.notes.push_back(
        absl::StrCat(stored.status().message(), "; versions go on from greater ones"));
  }
  RETURN_IF_ERROR(
      state.observer.ForEach("reading manifests", entries, [&](const FileSystem::Entry& entry) {
        sets.RaiseLastVersion(VersionOfDeleted(entry.name));
        if (MayBeSet(entry)) FindSet(state, entry.name);
      }));
  if (!is_damaged) return absl::OkStatus();
  // The time makes the new version greater than all earlier ones, even if the file was damaged
  // before.
  sets.RaiseLastVersion(
      std::max(sets.last_version() + kVersionJump, absl::ToUnixMicros(absl::Now())));
  if (state.mode == DirectoryMode::kReader) return absl::OkStatus();
  // If the file cannot be written, the last version is raised again when the next process starts.
  const absl::Status status = sets.WriteLastVersion();
  if (!status.ok()) state.notes.push_back(absl::StrCat("is not made anew: ", status.message()));
  return absl::OkStatus();
}

// Syncs before it removes anything. A process that ended may have left changes that are visible but
// not durable. The files that such a change replaced must stay until the change is durable.
absl::Status SyncAndClear(DirectoryState& state, const std::vector<FileSystem::Entry>& entries,
                          const SyncedSets& synced) {
  RETURN_IF_ERROR(state.files().SyncDirectory(state.paths.root()));
  return state.observer.ForEach("syncing folders", entries, [&](const FileSystem::Entry& entry) {
    if (entry.is_link) return;
    if (VersionOfDeleted(entry.name) != 0) {
      // The folder stays until .last_version has the version in the folder's name: see
      // Committer::MoveAndRemove.
      SetFolder(&state.files(), state.paths.Path(entry.name)).RemoveFilesBut(nullptr);
      if (state.sets.WriteLastVersion().ok()) RemoveTemporary(state, entry);
    } else if (IsTemporary(entry.name)) {
      RemoveTemporary(state, entry);
    } else if (MayBeSet(entry)) {
      SyncAndClearSet(state, entry.name, synced);
    }
  });
}

}  // namespace qkserve
