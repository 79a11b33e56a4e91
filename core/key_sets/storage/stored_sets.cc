#include "core/key_sets/storage/stored_sets.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/storage/checksum.h"

namespace qkserve {
namespace {

constexpr absl::string_view kLastVersionFile = ".last_version";

std::string FormatLastVersion(int64_t version) {
  const std::string digits = absl::StrCat(version);
  return absl::StrCat(digits, " ", ChecksumText(ChecksumOf(digits)), "\n");
}

}  // namespace

absl::StatusOr<std::vector<std::string>> StoredSets::Names() const {
  std::vector<std::string> names;
  if (mode_ == DirectoryMode::kWriter) {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) names.push_back(name);
    return names;
  }
  ASSIGN_OR_RETURN(const std::vector<FileSystem::Entry> entries,
                   paths_.files()->List(paths_.root()));
  for (const FileSystem::Entry& entry : entries) {
    if (MayBeSet(entry) && FolderOf(entry.name).IsSet()) names.push_back(entry.name);
  }
  return names;
}

absl::StatusOr<Manifest> StoredSets::Find(const std::string& name) const {
  RETURN_IF_ERROR(ValidateKeySetName(name));
  if (mode_ == DirectoryMode::kReader) return FolderOf(name).ReadManifest(name);
  MutexLock lock(&mutex_);
  const auto found = sets_.find(name);
  if (found != sets_.end()) return found->second.manifest;
  return absl::NotFoundError(absl::StrCat("there is no key set ", name));
}

int64_t StoredSets::last_version() const {
  MutexLock lock(&mutex_);
  return last_version_;
}

void StoredSets::RaiseLastVersion(int64_t version) {
  MutexLock lock(&mutex_);
  last_version_ = std::max(last_version_, version);
}

absl::StatusOr<int64_t> StoredSets::ReadLastVersion() const {
  const std::string path = paths_.Path(kLastVersionFile);
  const absl::StatusOr<std::string> text = ReadFile(paths_.files(), path, /*bytes_max=*/64);
  if (absl::IsNotFound(text.status())) return text.status();
  int64_t version = 0;
  if (text.ok() && absl::SimpleAtoi(text->substr(0, text->find(' ')), &version) && version >= 0 &&
      FormatLastVersion(version) == *text) {
    return version;
  }
  return absl::DataLossError(path + ": is damaged");
}

absl::Status StoredSets::WriteLastVersion() {
  MutexLock lock(&file_mutex_);
  return ReplaceFile(paths_.files(), paths_.root(), kLastVersionFile,
                     FormatLastVersion(last_version()));
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
