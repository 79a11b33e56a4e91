#include "core/key_sets/storage/key_set_directory.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "core/key_sets/storage/loose_files.h"
#include "core/key_sets/storage/recovery.h"

namespace qkserve {
absl::StatusOr<std::unique_ptr<KeySetDirectory>> KeySetDirectory::Open(
    FileSystem* files, const std::string& path, Mode mode, const DirectoryObserver& observer) {
  absl::string_view trimmed = path;
  while (trimmed.size() > 1 && absl::ConsumeSuffix(&trimmed, "/")) {
  }
  if (trimmed.empty()) return absl::InvalidArgumentError("the path of the key sets is empty");
  std::unique_ptr<KeySetDirectory> directory(
      new KeySetDirectory(files, std::string(trimmed), mode, observer));
  if (mode == Mode::kWriter) RETURN_IF_ERROR(directory->OpenRoot());
  RETURN_IF_ERROR(directory->FindSets());
  directory->WriteSynced();
  return directory;
}

KeySetDirectory::~KeySetDirectory() { WriteSynced(); }

absl::Status KeySetDirectory::OpenRoot() {
  FileSystem& files = state_.files();
  absl::Status made = files.MakeDirectory(path());
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  // The parent is synced even if the directory existed, because the directory may have been made
  // just before a process ended. If the directory existed, an error is ignored, because this
  // process may not be allowed to read the parent.
  const std::string parent = std::filesystem::path(path()).parent_path();
  absl::Status synced = files.SyncDirectory(parent.empty() ? "." : parent);
  if (made.ok() && !synced.ok()) return synced;
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files.Lock(state_.paths.Path(".lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(path(), " has a writer already (", lock.status().message(),
                     "); any number of servers may read it (--key_set_dir_read_only)"));
  }
  if (!lock.ok()) return lock.status();
  committer_.HoldLock(*std::move(lock));
  return absl::OkStatus();
}

absl::Status KeySetDirectory::FindSets() {
  ASSIGN_OR_RETURN(const std::vector<FileSystem::Entry> entries, state_.files().List(path()));
  RETURN_IF_ERROR(FindStoredSets(state_, entries));
  std::optional<SyncedSets> synced;
  if (state_.mode == Mode::kWriter) {
    synced = SyncedSets::ReadFrom(&state_.files(), path());
    RETURN_IF_ERROR(SyncAndClear(state_, entries, *synced));
  }
  RETURN_IF_ERROR(ImportLooseFiles(state_, committer_, entries));
  synced_ = std::move(synced);
  return absl::OkStatus();
}

// Writes .synced if the durable sets have changed. Ignores errors, because the next process then
// only syncs more than it needs to.
void KeySetDirectory::WriteSynced() {
  if (!synced_.has_value() || !committer_.CheckRoot().ok()) return;
  SyncedSets durable = state_.sets.Durable();
  if (durable == *synced_) return;
  if (durable.WriteTo(&state_.files(), path()).ok()) synced_ = std::move(durable);
}

absl::StatusOr<int64_t> KeySetDirectory::StoredVersion(const std::string& name) const {
  ASSIGN_OR_RETURN(const Manifest manifest, state_.sets.Find(name));
  return manifest.version;
}

absl::StatusOr<KeySetDirectory::Changes> KeySetDirectory::FindChanges(
    const std::map<std::string, int64_t>& served) const {
  // A single listing decides about all sets, because the directory may vanish at any time.
  ASSIGN_OR_RETURN(const std::vector<FileSystem::Entry> entries, state_.files().List(path()));
  int64_t last_deleted = state_.sets.ReadLastVersion().value_or(0);
  Changes changes;
  for (const FileSystem::Entry& entry : entries) {
    last_deleted = std::max(last_deleted, VersionOfDeleted(entry.name));
    if (served.count(entry.name) > 0 ||
        (MayBeSet(entry) && state_.sets.FolderOf(entry.name).IsSet())) {
      changes.there.push_back(entry.name);
    }
  }
  int64_t newest = 1;
  for (const auto& [name, version] : served) {
    newest = std::max(newest, version);
    if (!std::binary_search(changes.there.begin(), changes.there.end(), name)) {
      changes.deleted.push_back(name);
    }
  }
  if (changes.deleted.empty() || changes.deleted.size() < served.size() || last_deleted >= newest) {
    return changes;
  }
  return absl::UnavailableError(absl::StrCat(
      path(), ": has none of the ", served.size(),
      " key sets that are served, and nothing tells that they were deleted: it is another "
      "directory, or was emptied"));
}

}  // namespace qkserve
