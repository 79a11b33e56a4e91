// How a store's sets change: uploads, deletes, and merges of what appends leave behind.

#include <functional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/key_set_store.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/directory_error.h"
#include "qkserve/limits.h"

namespace qkserve {

absl::Status KeySetStore::CheckWritable() const {
  if (!options_.is_read_only) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this server may only read its key sets (--key_set_dir_read_only)");
}

absl::Status KeySetStore::FailedChange(const std::string& name, const absl::Status& status) const {
  options_.log({LogLevel::kWarning,
                absl::StrCat("key set ", name, ": a change failed: ", status.ToString())});
  return DirectoryErrorForCaller(status, directory_->path());
}

Mutex& KeySetStore::WriteMutex(absl::string_view name) const {
  return write_mutexes_[std::hash<std::string_view>()({name.data(), name.size()}) %
                        write_mutexes_.size()];
}

absl::StatusOr<std::unique_ptr<KeySetUpload>> KeySetStore::BeginUpload(
    const KeySetUploadSpec& spec) {
  absl::Status status = CheckWritable();
  if (status.ok()) status = ValidateKeySetName(spec.name);
  if (!status.ok()) return status;
  std::unique_ptr<KeySetUpload> upload(new KeySetUpload(this, spec));
  status = upload->Allocate();
  if (!status.ok()) return status;
  return upload;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::BaseOf(
    const KeySetUploadSpec& spec) const {
  absl::StatusOr<std::shared_ptr<const KeySet>> base =
      FindForAppend(spec.name, *spec.expected_version);
  if (!base.ok()) return base;
  if (!((*base)->layout() == spec.layout)) {
    return absl::FailedPreconditionError(
        absl::StrCat("key set ", spec.name, " was replaced by one of another shape"));
  }
  if (spec.m > kKeySetKeysMax - (*base)->m()) {
    return absl::InvalidArgumentError(
        absl::StrCat("keys.shape: got ", spec.m, " keys for a set of ", (*base)->m(),
                     ", expected at most ", kKeySetKeysMax, " in all"));
  }
  return base;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::Commit(KeySetUpload& upload) {
  const std::string& name = upload.spec_.name;
  absl::StatusOr<std::shared_ptr<const KeySet>> key_set = absl::UnknownError("");
  {
    MutexLock lock(&WriteMutex(name));
    key_set = CommitVersion(upload);
    if (key_set.ok()) Show(name, *key_set);
  }
  if (key_set.ok() && upload.IsAppend()) ScheduleMerge(name);
  return key_set;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::CommitVersion(KeySetUpload& upload) {
  const KeySetUploadSpec& spec = upload.spec_;
  const absl::StatusOr<std::shared_ptr<const KeySet>> base =
      upload.IsAppend() ? BaseOf(spec) : Find(spec.name);
  if (upload.IsAppend()) {
    if (!base.ok()) return base.status();
    absl::StatusOr<std::unique_ptr<KeySetBuilder>> builder =
        KeySetBuilder::Create(spec.layout, spec.m, *base, &budget_);
    if (!builder.ok()) return builder.status();
    upload.builder_ = *std::move(builder);
    upload.PackWaiting();
  }
  int64_t version = 0;
  {
    MutexLock lock(&mutex_);
    if (absl::IsNotFound(base.status()) && static_cast<int64_t>(sets_.size()) >= kKeySetsMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are ", sets_.size(), " key sets, the limit is ", kKeySetsMax));
    }
    version = ++last_version_;
  }
  if (directory_ != nullptr) {
    absl::Status status = upload.IsAppend()
                              ? directory_->Append(spec.name, version, std::move(upload.segment_))
                              : directory_->Put(spec.name, version, std::move(upload.segment_));
    if (!status.ok()) return FailedChange(spec.name, status);
  }
  return upload.builder_->Finish(spec.name, version,
                                 base.ok() ? (*base)->shared_requests_served() : nullptr);
}

absl::Status KeySetStore::Delete(const std::string& name, int64_t* version) {
  absl::Status status = CheckWritable();
  if (!status.ok()) return status;
  MutexLock lock(&WriteMutex(name));
  absl::StatusOr<std::shared_ptr<const KeySet>> old = Find(name);
  if (absl::IsNotFound(old.status())) return old.status();
  if (directory_ != nullptr) {
    status = directory_->Delete(name);
    if (!status.ok()) return FailedChange(name, status);
  }
  Hide(name);
  if (version != nullptr && old.ok()) *version = (*old)->version();
  return absl::OkStatus();
}

void KeySetStore::ScheduleMerge(const std::string& name) {
  if (directory_ == nullptr) return;
  {
    MutexLock lock(&mutex_);
    if (!merging_.insert(name).second) return;
  }
  merges_.Schedule([this, name] {
    {
      MutexLock lock(&mutex_);
      merging_.erase(name);
    }
    const absl::StatusOr<bool> merged = Merge(name);
    if (!merged.ok() && !absl::IsNotFound(merged.status())) {
      options_.log({LogLevel::kWarning,
                    absl::StrCat("key set ", name,
                                 ": segments are not merged: ", merged.status().ToString())});
    }
    // Appends may have been faster than this.
    if (merged.ok() && *merged) ScheduleMerge(name);
  });
}

absl::StatusOr<bool> KeySetStore::Merge(const std::string& name) {
  {
    // The next process goes on when it appends.
    MutexLock lock(&mutex_);
    if (is_stopping_) return false;
  }
  // The copy may be of gigabytes: the set goes on being changed meanwhile.
  absl::StatusOr<KeySetDirectory::Merge> merge = directory_->CopyForMerge(name);
  if (!merge.ok()) return merge.status();
  if (merge->merged == nullptr) return false;
  MutexLock lock(&WriteMutex(name));
  return directory_->FinishMerge(name, *std::move(merge));
}

}  // namespace qkserve
