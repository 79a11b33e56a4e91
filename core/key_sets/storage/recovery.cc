#include "core/key_sets/storage/recovery.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/storage/set_folder.h"

namespace qkserve {
namespace {

// Versions jump by this where the greatest deleted one is unknown.
constexpr int64_t kVersionJump = int64_t{1} << 32;

}  // namespace

bool Recovery::ReadLastVersion() {
  const absl::StatusOr<int64_t> version = last_version_.Stored();
  if (version.ok()) last_version_.Raise(*version);
  if (!absl::IsDataLoss(version.status())) return true;
  notes_.push_back(absl::StrCat(version.status().message(), "; versions go on from greater ones"));
  return false;
}

absl::Status Recovery::FindSets(const Entries& entries) {
  const bool is_last_version_known = ReadLastVersion();
  ProgressReport progress(observer_, "reading manifests", entries.size());
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = progress.BeginStep();
    if (!status.ok()) return status;
    last_version_.Raise(VersionOfDeleted(entry.name));
    if (entry.is_directory && ValidateKeySetName(entry.name).ok()) FindSet(entry.name);
  }
  if (is_last_version_known) return absl::OkStatus();
  // The time makes it greater than all before, even where the file is damaged again.
  last_version_.Raise(
      std::max(last_version_.value() + kVersionJump, absl::ToUnixMicros(absl::Now())));
  if (sets_.mode() == DirectoryMode::kReader) return absl::OkStatus();
  // Without the file, versions jump again when the next process starts.
  const absl::Status status = last_version_.Store();
  if (!status.ok()) notes_.push_back(absl::StrCat("is not made anew: ", status.message()));
  return absl::OkStatus();
}

void Recovery::FindSet(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = sets_.FolderOf(name).ReadManifest(name);
  if (manifest.ok()) last_version_.Raise(manifest->version);
  // Segments tell versions even where the manifest is damaged.
  const absl::StatusOr<Entries> files = files_.List(paths_.Path(name));
  if (files.ok()) {
    for (const FileSystem::Entry& file : *files) last_version_.Raise(VersionOfSegment(file.name));
  }
  if (absl::IsNotFound(manifest.status())) return;
  if (!manifest.ok()) notes_.emplace_back(manifest.status().message());
  if (sets_.mode() == DirectoryMode::kWriter) sets_.Insert(name, manifest);
}

// Syncs first: a process that ended may have left changes that are visible but not durable, and
// what they replaced must not be removed before they are.
absl::Status Recovery::SyncAndClear(const Entries& entries, const SyncedSets& synced) {
  absl::Status root_synced = files_.SyncDirectory(paths_.root());
  if (!root_synced.ok()) return root_synced;
  ProgressReport progress(observer_, "syncing folders", entries.size());
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = progress.BeginStep();
    if (!status.ok()) return status;
    if (entry.is_link) continue;
    if (VersionOfDeleted(entry.name) != 0) {
      // The name keeps the version until .last_version has it: see Committer::MoveAndRemove.
      SetFolder(&files_, paths_.Path(entry.name)).RemoveFiles();
      if (last_version_.Store().ok()) RemoveTemporary(entry);
    } else if (IsTemporary(entry.name)) {
      RemoveTemporary(entry);
    } else if (entry.is_directory && ValidateKeySetName(entry.name).ok()) {
      SyncAndClearSet(entry.name, synced);
    }
  }
  return absl::OkStatus();
}

void Recovery::RemoveTemporary(const FileSystem::Entry& entry) {
  const std::string path = paths_.Path(entry.name);
  if (!entry.is_directory) {
    files_.Remove(path).IgnoreError();
    return;
  }
  SetFolder folder(&files_, path);
  folder.Remove();
  if (folder.Exists()) {
    notes_.push_back(path + ": is left of a deleted key set and holds files of others");
  }
}

void Recovery::SyncAndClearSet(const std::string& name, const SyncedSets& synced) {
  const absl::StatusOr<Manifest> manifest = sets_.Find(name);
  // Nothing of a damaged set is removed: somebody may want to repair it.
  if (!manifest.ok()) return;
  SetFolder folder = sets_.FolderOf(name);
  const absl::Status status = synced.Has(*manifest) ? absl::OkStatus() : folder.Sync();
  if (status.ok()) {
    folder.RemoveFilesBut(*manifest);
    return;
  }
  notes_.emplace_back(status.message());
  sets_.Insert(name, absl::DataLossError(status.message()));
}

}  // namespace qkserve
