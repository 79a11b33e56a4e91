#include "core/key_sets/storage/key_set_directory.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/storage/loose_files.h"
#include "core/key_sets/storage/recovery.h"

namespace qkserve {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

KeySetDirectory::KeySetDirectory(FileSystem* files, const std::string& path, Mode mode,
                                 const DirectoryObserver& observer)
    : observer_(observer), paths_(files, path), sets_(&paths_, mode) {}

absl::StatusOr<std::unique_ptr<KeySetDirectory>> KeySetDirectory::Open(
    FileSystem* files, const std::string& path, Mode mode, const DirectoryObserver& observer) {
  absl::string_view trimmed = path;
  while (trimmed.size() > 1 && absl::ConsumeSuffix(&trimmed, "/")) {
  }
  if (trimmed.empty()) return absl::InvalidArgumentError("the path of the key sets is empty");
  std::unique_ptr<KeySetDirectory> directory(
      new KeySetDirectory(files, std::string(trimmed), mode, observer));
  absl::Status status = mode == Mode::kWriter ? directory->OpenRoot() : absl::OkStatus();
  if (status.ok()) status = directory->FindSets();
  if (!status.ok()) return status;
  directory->is_open_ = true;
  directory->WriteSynced();
  return directory;
}

KeySetDirectory::~KeySetDirectory() { WriteSynced(); }

absl::Status KeySetDirectory::OpenRoot() {
  FileSystem& files = *paths_.files();
  absl::Status made = files.MakeDirectory(path());
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  // Also for a directory that was there: it may have been made just before the process ended. Its
  // parent may be one that this process must not read.
  absl::Status status = files.SyncDirectory(ParentOf(path()));
  if (made.ok() && !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files.Lock(paths_.Path(".lock"));
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
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = paths_.files()->List(path());
  if (!entries.ok()) return entries.status();
  Recovery recovery(&paths_, &sets_, &last_version_, &observer_, &notes_);
  absl::Status status = recovery.FindSets(*entries);
  if (status.ok() && sets_.mode() == Mode::kWriter) {
    synced_ = SyncedSets::ReadFrom(paths_.files(), path());
    status = recovery.SyncAndClear(*entries, synced_);
  }
  if (!status.ok()) return status;
  LooseFileImporter importer(&paths_, &sets_, &last_version_, &committer_, &observer_, &notes_);
  return importer.ImportAll(*entries);
}

// If this fails, the next process syncs more than it needs to.
void KeySetDirectory::WriteSynced() {
  if (!is_open_ || sets_.mode() == Mode::kReader || !committer_.CheckRoot().ok()) return;
  SyncedSets durable = sets_.Durable();
  if (durable == synced_) return;
  if (durable.WriteTo(paths_.files(), path()).ok()) synced_ = std::move(durable);
}

absl::StatusOr<int64_t> KeySetDirectory::StoredVersion(const std::string& name) const {
  const absl::StatusOr<Manifest> manifest = sets_.Find(name);
  if (!manifest.ok()) return manifest.status();
  return manifest->version;
}

absl::StatusOr<KeySetDirectory::Changes> KeySetDirectory::FindChanges(
    const std::map<std::string, int64_t>& served) const {
  // One listing decides, because the directory may vanish at any time.
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = paths_.files()->List(path());
  if (!entries.ok()) return entries.status();
  int64_t last_deleted = last_version_.Stored().value_or(0);
  Changes changes;
  for (const FileSystem::Entry& entry : *entries) {
    last_deleted = std::max(last_deleted, VersionOfDeleted(entry.name));
    if (served.count(entry.name) > 0 ||
        (entry.is_directory && ValidateKeySetName(entry.name).ok() &&
         sets_.FolderOf(entry.name).IsSet())) {
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
