#include "core/key_sets/key_set_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/status_text.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/directory_error.h"
#include "qkserve/limits.h"

namespace qkserve {

KeySetStore::KeySetStore(const Options& options)
    : options_(options), budget_("key_set_memory", options.memory_bytes_max) {}

absl::StatusOr<std::unique_ptr<KeySetStore>> KeySetStore::Open(const Options& options,
                                                               FileSystem* files) {
  std::unique_ptr<KeySetStore> store(new KeySetStore(options));
  if (options.directory.empty()) {
    // Versions begin at the Unix time in microseconds, so that the next process does not give the
    // same versions.
    MutexLock lock(&store->version_mutex_);
    store->last_version_ = absl::ToUnixMicros(absl::Now());
    return store;
  }
  RETURN_IF_ERROR(store->OpenDirectory(files));
  return store;
}

absl::Status KeySetStore::OpenDirectory(FileSystem* files) {
  const absl::Time begin = Clock::Monotonic()->Now();
  const DirectoryObserver observer = {.is_stopping = options_.is_stopping, .log = options_.log};
  const auto mode =
      options_.is_read_only ? KeySetDirectory::Mode::kReader : KeySetDirectory::Mode::kWriter;
  ASSIGN_OR_RETURN(directory_, KeySetDirectory::Open(files, options_.directory, mode, observer));
  for (const std::string& note : directory_->notes()) {
    options_.log({LogLevel::kWarning, note});
  }
  follower_ = std::make_unique<DirectoryFollower>(directory_.get(), observer, &budget_, &table_);
  RETURN_IF_ERROR(follower_->LoadAll(options_.load_threads, begin));
  {
    MutexLock lock(&version_mutex_);
    last_version_ = directory_->last_version();
  }
  if (!options_.is_read_only) {
    merger_ = std::make_unique<BackgroundMerger>(directory_.get(), &change_mutexes_, options_.log);
  } else if (options_.refresh_every < absl::InfiniteDuration()) {
    follower_->Start(options_.refresh_every);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::FindForAppend(
    absl::string_view name, int64_t expected_version) const {
  absl::StatusOr<std::shared_ptr<const KeySet>> found = Find(name);
  if (!found.ok() || (*found)->version() == expected_version) return found;
  return absl::FailedPreconditionError(absl::StrCat("key set ", name, " is at version ",
                                                    (*found)->version(), ", expected_version was ",
                                                    expected_version));
}

absl::Status KeySetStore::CheckWritable() const {
  if (!options_.is_read_only) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this server may only read its key sets (--key_set_dir_read_only)");
}

absl::Status KeySetStore::FailedChange(const std::string& name, const absl::Status& status) const {
  options_.log({LogLevel::kWarning,
                absl::StrCat("key set ", name, ": a change failed: ", StatusText(status))});
  return DirectoryErrorForCaller(status, directory_->path());
}

absl::StatusOr<std::unique_ptr<KeySetUpload>> KeySetStore::BeginUpload(
    const KeySetUploadSpec& spec) {
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(ValidateKeySetName(spec.name));
  std::unique_ptr<KeySetUpload> upload(new KeySetUpload(this, spec));
  RETURN_IF_ERROR(upload->Allocate());
  return upload;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::CheckedAppendBase(
    const KeySetUploadSpec& spec) const {
  ASSIGN_OR_RETURN(std::shared_ptr<const KeySet> base,
                   FindForAppend(spec.name, *spec.expected_version));
  if (base->layout() != spec.layout) {
    return absl::FailedPreconditionError(
        absl::StrCat("key set ", spec.name, " was replaced by one of another shape"));
  }
  if (spec.m > kKeySetKeysMax - base->m()) {
    return absl::InvalidArgumentError(
        absl::StrCat("keys.shape: got ", spec.m, " keys for a set of ", base->m(),
                     ", expected at most ", kKeySetKeysMax, " in all"));
  }
  return base;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::Commit(KeySetUpload& upload) {
  const std::string& name = upload.spec_.name;
  std::shared_ptr<const KeySet> key_set;
  {
    MutexLock lock(&change_mutexes_.For(name));
    ASSIGN_OR_RETURN(key_set, CommitVersion(upload));
    table_.Publish(name, key_set);
  }
  if (upload.IsAppend() && merger_ != nullptr) merger_->Schedule(name);
  return key_set;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::CommitVersion(KeySetUpload& upload) {
  const KeySetUploadSpec& spec = upload.spec_;
  const absl::StatusOr<std::shared_ptr<const KeySet>> base =
      upload.IsAppend() ? CheckedAppendBase(spec) : Find(spec.name);
  if (upload.IsAppend()) {
    RETURN_IF_ERROR(base.status());
    ASSIGN_OR_RETURN(upload.builder_, KeySetBuilder::Create(spec.layout, spec.m, *base, &budget_));
    upload.PackWaiting();
  }
  ASSIGN_OR_RETURN(const int64_t version, NewVersion(absl::IsNotFound(base.status())));
  if (directory_ != nullptr) {
    const absl::Status status =
        upload.IsAppend() ? directory_->Append(spec.name, version, std::move(upload.segment_))
                          : directory_->Put(spec.name, version, std::move(upload.segment_));
    if (!status.ok()) return FailedChange(spec.name, status);
  }
  return upload.builder_->Finish(spec.name, version,
                                 base.ok() ? (*base)->shared_requests_served() : nullptr);
}

absl::StatusOr<int64_t> KeySetStore::NewVersion(bool is_new) {
  MutexLock lock(&version_mutex_);
  if (is_new && table_.count() >= kKeySetsMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", table_.count(), " key sets, the limit is ", kKeySetsMax));
  }
  return ++last_version_;
}

absl::Status KeySetStore::Delete(const std::string& name, int64_t* version) {
  RETURN_IF_ERROR(CheckWritable());
  MutexLock lock(&change_mutexes_.For(name));
  absl::StatusOr<std::shared_ptr<const KeySet>> old = Find(name);
  if (absl::IsNotFound(old.status())) return old.status();
  if (directory_ != nullptr) {
    const absl::Status status = directory_->Delete(name);
    if (!status.ok()) return FailedChange(name, status);
  }
  table_.Unpublish(name);
  if (version != nullptr && old.ok()) *version = (*old)->version();
  return absl::OkStatus();
}

void KeySetStore::Refresh() {
  if (options_.is_read_only && follower_ != nullptr) follower_->Refresh();
}

}  // namespace qkserve
