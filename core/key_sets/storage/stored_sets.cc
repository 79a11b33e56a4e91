#include "core/key_sets/storage/stored_sets.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_name.h"

namespace qkserve {

absl::StatusOr<std::vector<std::string>> StoredSets::Names() const {
  std::vector<std::string> names;
  if (mode_ == DirectoryMode::kWriter) {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) names.push_back(name);
    return names;
  }
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries =
      paths_.files()->List(paths_.root());
  if (!entries.ok()) return entries.status();
  for (const FileSystem::Entry& entry : *entries) {
    if (entry.is_directory && ValidateKeySetName(entry.name).ok() && FolderOf(entry.name).IsSet()) {
      names.push_back(entry.name);
    }
  }
  return names;
}

absl::StatusOr<Manifest> StoredSets::Find(const std::string& name) const {
  absl::Status status = ValidateKeySetName(name);
  if (!status.ok()) return status;
  if (mode_ == DirectoryMode::kReader) return FolderOf(name).ReadManifest(name);
  MutexLock lock(&mutex_);
  const auto found = sets_.find(name);
  if (found != sets_.end()) return found->second.manifest;
  return absl::NotFoundError(absl::StrCat("there is no key set ", name));
}

void StoredSets::Insert(const std::string& name, absl::StatusOr<Manifest> manifest,
                        bool has_unacknowledged_change) {
  MutexLock lock(&mutex_);
  sets_.insert_or_assign(name, StoredSet{std::move(manifest), has_unacknowledged_change});
}

void StoredSets::Erase(const std::string& name) {
  MutexLock lock(&mutex_);
  sets_.erase(name);
}

void StoredSets::Acknowledge(const Manifest& manifest) {
  MutexLock lock(&mutex_);
  StoredSet& set = sets_.at(manifest.name);
  set.manifest = manifest;
  // Only a new base tells readers to forget a change that failed; a merge does not.
  if (manifest.base_version == manifest.version) set.has_unacknowledged_change = false;
}

void StoredSets::MarkUnacknowledgedChange(const std::string& name) {
  MutexLock lock(&mutex_);
  const auto found = sets_.find(name);
  if (found != sets_.end()) found->second.has_unacknowledged_change = true;
}

bool StoredSets::HasUnacknowledgedChange(const std::string& name) const {
  MutexLock lock(&mutex_);
  const auto found = sets_.find(name);
  return found != sets_.end() && found->second.has_unacknowledged_change;
}

SyncedSets StoredSets::Durable() const {
  SyncedSets durable;
  MutexLock lock(&mutex_);
  for (const auto& [name, set] : sets_) {
    if (set.manifest.ok() && !set.has_unacknowledged_change) durable.Add(*set.manifest);
  }
  return durable;
}

}  // namespace qkserve
