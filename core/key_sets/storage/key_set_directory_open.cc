// Opening a directory: what is there, and what interrupted writes have left.

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/storage/checksum.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "core/key_sets/storage/segment_rows.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

constexpr absl::string_view kLastVersionFile = ".last_version";
constexpr absl::string_view kSyncedFile = ".synced";
constexpr absl::string_view kLoneFileSuffix = ".safetensors";

// How far versions jump where the greatest one that was deleted is not known.
constexpr int64_t kVersionJump = int64_t{1} << 32;

// More than kKeySetsMax lines.
constexpr int64_t kSyncedBytesMax = 16 * kMiB;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A name of something that was being written, or removed.
bool IsAside(absl::string_view name) {
  if (!absl::EndsWith(name, ".tmp")) return false;
  for (const char* const begin :
       {".segment-", ".put-", ".deleted-", ".last_version.", ".synced."}) {
    if (absl::StartsWith(name, begin)) return true;
  }
  return false;
}

// The version in the name of a set that is being removed; 0 where it is none.
int64_t VersionOfDeleted(absl::string_view name) {
  int64_t version = 0;
  if (!absl::ConsumePrefix(&name, ".deleted-")) return 0;
  return absl::SimpleAtoi(name.substr(0, name.find('-')), &version) ? version : 0;
}

std::string LastVersionText(int64_t version) {
  const std::string digits = absl::StrCat(version);
  return absl::StrCat(digits, " ", ChecksumText(ChecksumOf(digits)), "\n");
}

}  // namespace

KeySetDirectory::KeySetDirectory(FileSystem* files, const std::string& path, Mode mode,
                                 const DirectoryObserver& observer)
    : files_(files), path_(path), mode_(mode), observer_(observer) {}

absl::StatusOr<std::unique_ptr<KeySetDirectory>> KeySetDirectory::Open(
    FileSystem* files, const std::string& path, Mode mode, const DirectoryObserver& observer) {
  absl::string_view trimmed = path;
  while (trimmed.size() > 1 && absl::ConsumeSuffix(&trimmed, "/")) {
  }
  if (trimmed.empty()) return absl::InvalidArgumentError("the path of the key sets is empty");
  std::unique_ptr<KeySetDirectory> directory(
      new KeySetDirectory(files, std::string(trimmed), mode, observer));
  absl::Status status = directory->OpenRoot();
  if (!status.ok()) return status;
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files->List(directory->path_);
  if (!entries.ok()) return entries.status();
  status = directory->ReadLastVersion();
  if (status.ok()) status = directory->FindSets(*entries);
  if (status.ok() && mode == Mode::kWriter) {
    directory->ReadSynced();
    status = directory->ClearAndSync(*entries);
  }
  if (status.ok()) status = directory->TakeInFiles(*entries);
  if (!status.ok()) return status;
  directory->is_open_ = true;
  directory->WriteSynced();
  return directory;
}

KeySetDirectory::~KeySetDirectory() { WriteSynced(); }

absl::Status KeySetDirectory::GoOn() const {
  return observer_.is_stopping() ? absl::CancelledError("the process is to end") : absl::OkStatus();
}

absl::Status KeySetDirectory::GoOn(const char* work, size_t done, size_t count) {
  const absl::Time now = absl::Now();
  if (done == 0) last_said_ = now;
  if (now - last_said_ >= absl::Seconds(1)) {
    last_said_ = now;
    observer_.log(
        {LogLevel::kInfo, absl::StrCat("key_set_dir: ", work, ": ", done, " of ", count)});
  }
  return GoOn();
}

absl::Status KeySetDirectory::OpenRoot() {
  if (mode_ == Mode::kReader) return absl::OkStatus();
  absl::Status made = files_->MakeDirectory(path_);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  // Also where it was there, as it may have been made just before the process ended. Then it may
  // be in a directory that is not for us to read.
  absl::Status status = files_->SyncDirectory(ParentOf(path_));
  if (made.ok() && !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files_->Lock(absl::StrCat(path_, "/.lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, " has a writer already (", lock.status().message(),
                     "); any number of servers may read it (--key_set_dir_read_only)"));
  }
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> KeySetDirectory::StoredLastVersion() const {
  const std::string path = absl::StrCat(path_, "/", kLastVersionFile);
  const absl::StatusOr<std::string> text = ReadFile(files_, path, /*bytes_max=*/64);
  if (absl::IsNotFound(text.status())) return text.status();
  int64_t version = 0;
  if (text.ok()) {
    const absl::string_view digits = absl::string_view(*text).substr(0, text->find(' '));
    if (absl::SimpleAtoi(digits, &version) && version >= 0 && LastVersionText(version) == *text) {
      return version;
    }
  }
  return absl::DataLossError(path + ": is damaged");
}

absl::Status KeySetDirectory::ReadLastVersion() {
  const absl::StatusOr<int64_t> version = StoredLastVersion();
  if (version.ok()) RaiseLastVersion(*version);
  if (!absl::IsDataLoss(version.status())) return absl::OkStatus();
  // It only keeps the versions of deleted sets from being used again.
  notes_.push_back(absl::StrCat(version.status().message(), "; versions go on from greater ones"));
  lost_versions_ = true;
  return absl::OkStatus();
}

absl::StatusOr<KeySetDirectory::Changes> KeySetDirectory::FindChanges(
    const std::map<std::string, int64_t>& served) const {
  // One listing tells all: the directory may vanish at any time.
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(path_);
  if (!entries.ok()) return entries.status();
  int64_t last_deleted = StoredLastVersion().value_or(0);
  Changes changes;
  for (const FileSystem::Entry& entry : *entries) {
    last_deleted = std::max(last_deleted, VersionOfDeleted(entry.name));
    if (served.count(entry.name) > 0 ||
        (entry.is_directory && ValidateKeySetName(entry.name).ok() && IsSet(entry.name))) {
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
      path_, ": has none of the ", served.size(),
      " key sets that are served, and nothing tells that they were deleted: it is another "
      "directory, or was emptied"));
}

absl::Status KeySetDirectory::WriteLastVersion() {
  MutexLock lock(&last_version_file_mutex_);
  return ReplaceFile(files_, path_, kLastVersionFile, LastVersionText(last_version()));
}

void KeySetDirectory::ReadSynced() {
  const absl::StatusOr<std::string> text =
      ReadFile(files_, absl::StrCat(path_, "/", kSyncedFile), kSyncedBytesMax);
  if (text.ok()) synced_ = SyncedSets::Parse(*text);
}

// Where this fails the next process syncs more than it needs to.
void KeySetDirectory::WriteSynced() {
  if (!is_open_ || mode_ == Mode::kReader || !CheckRoot().ok()) return;
  SyncedSets synced;
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) {
      if (set.manifest.ok() && !set.forked) synced.Add(*set.manifest);
    }
  }
  if (synced == synced_) return;
  if (ReplaceFile(files_, path_, kSyncedFile, synced.Format()).ok()) synced_ = std::move(synced);
}

absl::Status KeySetDirectory::FindSets(const std::vector<FileSystem::Entry>& entries) {
  size_t done = 0;
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = GoOn("reading manifests", done++, entries.size());
    if (!status.ok()) return status;
    RaiseLastVersion(VersionOfDeleted(entry.name));
    if (!entry.is_directory || !ValidateKeySetName(entry.name).ok()) continue;
    const absl::StatusOr<Manifest> manifest = ReadManifest(entry.name);
    if (manifest.ok()) RaiseLastVersion(manifest->version);
    // Their names tell versions even where the manifest is damaged.
    const absl::StatusOr<std::vector<FileSystem::Entry>> files = files_->List(SetPath(entry.name));
    if (files.ok()) {
      for (const FileSystem::Entry& file : *files) RaiseLastVersion(VersionOfSegment(file.name));
    }
    if (absl::IsNotFound(manifest.status())) continue;
    if (!manifest.ok()) notes_.emplace_back(manifest.status().message());
    if (mode_ == Mode::kWriter) {
      MutexLock lock(&mutex_);
      sets_.insert_or_assign(entry.name, StoredSet{manifest});
    }
  }
  if (!lost_versions_) return absl::OkStatus();
  // Greater than any before, even where this happens again.
  RaiseLastVersion(std::max(last_version() + kVersionJump, absl::ToUnixMicros(absl::Now())));
  if (mode_ == Mode::kReader) return absl::OkStatus();
  // Without it versions jump again when the next process starts.
  const absl::Status status = WriteLastVersion();
  if (!status.ok()) notes_.push_back(absl::StrCat("is not made anew: ", status.message()));
  return absl::OkStatus();
}

// What is there to see must be there to stay before anything is removed: a process that ended may
// have left changes that are not durable yet.
absl::Status KeySetDirectory::ClearAndSync(const std::vector<FileSystem::Entry>& entries) {
  absl::Status synced = files_->SyncDirectory(path_);
  if (!synced.ok()) return synced;
  size_t done = 0;
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = GoOn("syncing folders", done++, entries.size());
    if (!status.ok()) return status;
    if (entry.is_link) continue;
    if (VersionOfDeleted(entry.name) != 0) {
      // As in RemoveSet: the name goes when a file has its version.
      RemoveUnused(SetPath(entry.name), nullptr);
      if (WriteLastVersion().ok()) RemoveAside(entry);
    } else if (IsAside(entry.name)) {
      RemoveAside(entry);
    } else if (entry.is_directory && ValidateKeySetName(entry.name).ok()) {
      SyncAndClear(entry.name);
    }
  }
  return absl::OkStatus();
}

void KeySetDirectory::RemoveAside(const FileSystem::Entry& entry) {
  const std::string path = SetPath(entry.name);
  if (!entry.is_directory) {
    files_->Remove(path).IgnoreError();
    return;
  }
  RemoveFolder(path);
  if (files_->Exists(path)) {
    notes_.push_back(path + ": is left of a deleted key set and holds files of others");
  }
}

void KeySetDirectory::SyncAndClear(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  // Of a damaged set nothing is removed: somebody may want to look.
  if (!manifest.ok()) return;
  const absl::Status status =
      synced_.Has(*manifest) ? absl::OkStatus() : files_->SyncDirectory(SetPath(name));
  if (status.ok()) {
    RemoveUnused(SetPath(name), &*manifest);
    return;
  }
  notes_.emplace_back(status.message());
  MutexLock lock(&mutex_);
  sets_.insert_or_assign(name, StoredSet{absl::DataLossError(status.message())});
}

absl::Status KeySetDirectory::TakeInFiles(const std::vector<FileSystem::Entry>& entries) {
  size_t done = 0;
  for (const FileSystem::Entry& entry : entries) {
    absl::Status status = GoOn("taking in files", done++, entries.size());
    if (!status.ok()) return status;
    absl::string_view name = entry.name;
    const bool is_lone = absl::ConsumeSuffix(&name, kLoneFileSuffix);
    if (entry.is_link && ValidateKeySetName(name).ok()) {
      notes_.push_back(
          absl::StrCat(SetPath(entry.name), ": is not served: a link, give the files"));
    } else if (is_lone && !entry.is_directory) {
      TakeIn(std::string(name));
    }
  }
  return GoOn();
}

void KeySetDirectory::TakeIn(const std::string& name) {
  absl::Status status = ValidateKeySetName(name);
  if (status.ok() && mode_ == Mode::kReader) {
    status = absl::FailedPreconditionError("a writer takes such files in when it starts");
  }
  if (status.ok()) status = TryToTakeIn(name);
  if (status.ok()) return;
  const std::string path = absl::StrCat(SetPath(name), kLoneFileSuffix, ": ");
  absl::string_view cause = status.message();
  absl::ConsumePrefix(&cause, path);
  notes_.push_back(absl::StrCat(path, "is not served: ", cause));
}

// The manifest is there before its segment: a file that somebody put here is never without a name
// that is known. Where the process ended between them the second half is made up for.
absl::Status KeySetDirectory::TryToTakeIn(const std::string& name) {
  const std::string lone = absl::StrCat(SetPath(name), kLoneFileSuffix);
  const std::string directory = SetPath(name);
  absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  const bool half_done = manifest.ok() && manifest->segments.size() == 1 &&
                         !files_->Exists(absl::StrCat(directory, "/", manifest->segments[0].file));
  if (!absl::IsNotFound(manifest.status()) && !half_done) {
    return absl::AlreadyExistsError("there is a key set of this name");
  }
  absl::StatusOr<std::unique_ptr<SegmentReader>> reader = SegmentReader::Open(files_, lone);
  if (!reader.ok()) return reader.status();
  absl::Status status = ReadRows(**reader, [this](auto&&...) { return GoOn(); });
  if (!status.ok()) return status;
  // Nobody knows whether the other tool has.
  status = files_->SyncFile(lone);
  if (!status.ok()) return status;
  const uint64_t checksum = (*reader)->FileChecksum();
  if (half_done && checksum != manifest->segments[0].checksum) {
    return absl::AlreadyExistsError("there is a key set of this name, and it is not this file");
  }
  if (!half_done) {
    const int64_t version = last_version() + 1;
    RaiseLastVersion(version);
    manifest = Manifest{.name = name,
                        .version = version,
                        .base_version = version,
                        .layout = (*reader)->layout(),
                        .segments = {{.file = SegmentFile(version, 0, (*reader)->rows()),
                                      .keys = (*reader)->rows(),
                                      .bytes = (*reader)->bytes(),
                                      .checksum = checksum}}};
    status = AddSet(*manifest, nullptr, {});
    if (!status.ok()) return status;
  }
  status = files_->Rename(lone, absl::StrCat(directory, "/", manifest->segments[0].file));
  if (!status.ok() && files_->Exists(lone)) {
    // Not a set without its keys.
    RemoveSet(name, /*keep=*/false).IgnoreError();
    MutexLock lock(&mutex_);
    sets_.erase(name);
  }
  if (status.ok()) status = files_->SyncDirectory(directory);
  if (status.ok()) status = files_->SyncDirectory(path_);
  if (!status.ok()) {
    MutexLock lock(&mutex_);
    const auto set = sets_.find(name);
    if (set != sets_.end()) set->second.forked = true;
  }
  return status;
}

}  // namespace qkserve
