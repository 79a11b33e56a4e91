#include "core/key_sets/key_set_store.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "core/key_sets/key_set_name.h"
#include "core/limits.h"

namespace qkserve {
namespace {

// At look 2, 4, 8, 16, 32, and at each 64th from then on.
bool IsTimeToLookAgain(int64_t look) {
  constexpr int64_t kLooksMax = 64;
  return look % kLooksMax == 0 || (look < kLooksMax && (look & (look - 1)) == 0);
}

// Paths in it are relative to `root`, which itself is ".".
std::string WithoutRoot(absl::string_view message, const std::string& root) {
  std::string result;
  while (!message.empty()) {
    const bool is_word = result.empty() || result.back() == ' ';
    absl::string_view rest = message;
    if (!is_word || !absl::ConsumePrefix(&rest, root)) {
      result.push_back(message.front());
      message.remove_prefix(1);
      continue;
    }
    if (!absl::ConsumePrefix(&rest, "/")) {
      // Not a longer name that begins alike.
      const bool is_root = rest.empty() || rest.front() == ':' || rest.front() == ' ';
      absl::StrAppend(&result, is_root ? "." : root);
    }
    message = rest;
  }
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeySetStore>> KeySetStore::Open(const Options& options,
                                                               FileSystem* files) {
  std::unique_ptr<KeySetStore> store(new KeySetStore(options));
  if (options.directory.empty()) {
    // Numbers must not come again when the process does: begin at the time, in microseconds.
    MutexLock lock(&store->mutex_);
    store->last_version_ = absl::ToUnixMicros(absl::Now());
    return store;
  }
  absl::StatusOr<std::unique_ptr<KeySetDirectory>> directory = KeySetDirectory::Open(
      files, options.directory,
      options.is_read_only ? KeySetDirectory::Mode::kReader : KeySetDirectory::Mode::kWriter);
  if (!directory.ok()) return directory.status();
  store->directory_ = *std::move(directory);
  for (const std::string& note : store->directory_->notes()) {
    options.log({LogLevel::kWarning, note});
  }
  absl::Status status = store->LoadAll();
  if (!status.ok()) return status;
  if (options.is_read_only && options.refresh_every < absl::InfiniteDuration()) {
    store->follower_ = std::thread([raw = store.get()] { raw->FollowLoop(); });
  }
  return store;
}

KeySetStore::KeySetStore(const Options& options)
    : options_(options), budget_("key_set_memory", options.memory_bytes_max) {}

KeySetStore::~KeySetStore() {
  {
    MutexLock lock(&mutex_);
    is_stopping_ = true;
    stop_.NotifyAll();
  }
  if (follower_.joinable()) follower_.join();
}

void KeySetStore::FollowLoop() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      if (!is_stopping_) stop_.WaitFor(&mutex_, options_.refresh_every);
      if (is_stopping_) return;
    }
    Refresh();
  }
}

absl::Status KeySetStore::LoadAll() {
  const absl::StatusOr<std::vector<std::string>> names = directory_->ListNames();
  if (!names.ok()) return names.status();
  const absl::Time begin = absl::Now();
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  const auto load = [&] {
    for (size_t i = next++; i < names->size(); i = next++) {
      const std::string& name = (*names)[i];
      LoadOne(name).IgnoreError();  // Find tells
      const absl::StatusOr<std::shared_ptr<const KeySet>> key_set = Find(name);
      options_.log(
          {key_set.ok() ? LogLevel::kInfo : LogLevel::kWarning,
           absl::StrFormat("key set %d of %d: %s: %s", ++done, names->size(), name,
                           key_set.ok() ? absl::StrCat("version ", (*key_set)->version(), ", ",
                                                       ShapeString((*key_set)->layout().KeyShape(
                                                           (*key_set)->m())))
                                        : key_set.status().ToString())});
    }
  };
  std::vector<std::thread> threads;
  const auto count = std::min(static_cast<size_t>(options_.load_threads), names->size());
  try {
    for (size_t i = 1; i < count; ++i) threads.emplace_back(load);
  } catch (const std::system_error&) {
    // This thread loads them all.
  }
  load();
  for (std::thread& thread : threads) thread.join();
  if (!names->empty()) {
    options_.log({LogLevel::kInfo,
                  absl::StrFormat("%d key sets, %d bytes in memory, loaded in %s", names->size(),
                                  budget_.bytes(), absl::FormatDuration(absl::Now() - begin))});
  }
  MutexLock lock(&mutex_);
  last_version_ = std::max(last_version_, directory_->last_version());
  return absl::OkStatus();
}

absl::Status KeySetStore::LoadOne(const std::string& name) {
  std::shared_ptr<const KeySet> current;
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = Find(name);
  if (found.ok()) current = *found;
  absl::StatusOr<std::shared_ptr<const KeySet>> loaded = directory_->Load(name, &budget_, current);
  if (absl::IsNotFound(loaded.status())) {  // deleted since it was listed
    Hide(name);
    return loaded.status();
  }
  absl::Status status = ForCaller(loaded.status());
  if (status.ok()) {
    Show(name, std::move(loaded));
  } else if (current != nullptr) {
    // The writer is faster, there is no memory, or the files are damaged: what is there is whole.
    SetProblem(name, absl::StrCat("is behind what is stored: ", status.ToString()));
  } else {
    Show(name, status);
  }
  return status;
}

void KeySetStore::Refresh() {
  if (directory_ == nullptr || !options_.is_read_only) return;
  MutexLock refresh_lock(&refresh_mutex_);
  const absl::StatusOr<std::vector<std::string>> names = directory_->ListNames();
  if (!names.ok()) {
    options_.log({LogLevel::kWarning, absl::StrCat("key_set_dir: ", names.status().ToString())});
    return;
  }
  std::vector<std::string> gone;
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) {
      if (!std::binary_search(names->begin(), names->end(), name)) gone.push_back(name);
    }
  }
  for (const std::string& name : gone) {
    Hide(name);
    looks_.erase(name);
  }
  for (const std::string& name : *names) RefreshOne(name);
}

void KeySetStore::RefreshOne(const std::string& name) {
  const absl::StatusOr<int64_t> stored = directory_->StoredVersion(name);
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = Find(name);
  if (stored.ok() && found.ok() && (*found)->version() == *stored) {
    SetProblem(name, "");
    looks_.erase(name);
    return;
  }
  // What is damaged is read again when there is another version, and seldom in case that its files
  // were still being copied.
  Look& last = looks_[name];
  if (last.looks_at_damage > 0 && last.version == stored.value_or(0) &&
      !IsTimeToLookAgain(++last.looks_at_damage)) {
    return;
  }
  const absl::Status status = LoadOne(name);
  if (!absl::IsDataLoss(status) || last.version != stored.value_or(0)) last.looks_at_damage = 0;
  if (absl::IsDataLoss(status)) last.looks_at_damage = std::max<int64_t>(last.looks_at_damage, 1);
  last.version = stored.value_or(0);
  std::string line = absl::StrCat(
      "key set ", name, ": ", status.ok() ? absl::StrCat("version ", *stored) : status.ToString());
  if (line == last.line) return;  // said already
  options_.log({status.ok() ? LogLevel::kInfo : LogLevel::kWarning, line});
  last.line = std::move(line);
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::Find(absl::string_view name) const {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry != sets_.end()) return entry->second.key_set;
  return absl::NotFoundError(absl::StrCat("no key set has the name '", name.substr(0, 128), "'"));
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::FindForAppend(
    absl::string_view name, int64_t expected_version) const {
  absl::StatusOr<std::shared_ptr<const KeySet>> found = Find(name);
  if (!found.ok() || (*found)->version() == expected_version) return found;
  return absl::FailedPreconditionError(absl::StrCat("key set ", name, " is at version ",
                                                    (*found)->version(), ", expected_version was ",
                                                    expected_version));
}

KeySetStore::Listed KeySetStore::ToListed(const std::string& name, const Entry& entry) {
  return {name, entry.key_set,
          entry.key_set.ok() ? entry.problem : entry.key_set.status().ToString()};
}

absl::StatusOr<KeySetStore::Listed> KeySetStore::Get(absl::string_view name) const {
  {
    MutexLock lock(&mutex_);
    const auto entry = sets_.find(name);
    if (entry != sets_.end()) return ToListed(entry->first, entry->second);
  }
  return Find(name).status();
}

std::vector<KeySetStore::Listed> KeySetStore::List(absl::string_view after, int64_t count) const {
  std::vector<Listed> listed;
  MutexLock lock(&mutex_);
  for (auto entry = sets_.upper_bound(after);
       entry != sets_.end() && static_cast<int64_t>(listed.size()) < count; ++entry) {
    listed.push_back(ToListed(entry->first, entry->second));
  }
  return listed;
}

int64_t KeySetStore::count() const {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(sets_.size());
}

int64_t KeySetStore::problem_count() const {
  MutexLock lock(&mutex_);
  return problem_count_;
}

Mutex& KeySetStore::WriteMutex(absl::string_view name) const {
  return write_mutexes_[std::hash<std::string_view>()({name.data(), name.size()}) %
                        write_mutexes_.size()];
}

void KeySetStore::Show(const std::string& name,
                       absl::StatusOr<std::shared_ptr<const KeySet>> key_set) {
  // What it replaces may be large: freed when the lock is not held.
  Entry old = {absl::NotFoundError("")};
  MutexLock lock(&mutex_);
  if (!key_set.ok()) ++problem_count_;
  auto entry = sets_.find(name);
  if (entry == sets_.end()) {
    sets_.emplace(name, Entry{std::move(key_set)});
  } else {
    if (entry->second.HasProblem()) --problem_count_;
    old = std::exchange(entry->second, Entry{std::move(key_set)});
  }
}

void KeySetStore::Hide(const std::string& name) {
  // As in Show: freed when the lock is not held.
  Entry old = {absl::NotFoundError("")};
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry == sets_.end()) return;
  if (entry->second.HasProblem()) --problem_count_;
  old = std::move(entry->second);
  sets_.erase(entry);
}

void KeySetStore::SetProblem(const std::string& name, const std::string& problem) {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry == sets_.end()) return;
  if (entry->second.HasProblem()) --problem_count_;
  entry->second.problem = problem;
  if (entry->second.HasProblem()) ++problem_count_;
}

absl::Status KeySetStore::ForCaller(const absl::Status& status) const {
  const std::string message = WithoutRoot(status.message(), directory_->path());
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return absl::Status(status.code(), message);
    default:
      return absl::InternalError(absl::StrCat("key_set_dir: ", message));
  }
}

absl::Status KeySetStore::FailedChange(const std::string& name, const absl::Status& status) const {
  options_.log({LogLevel::kWarning,
                absl::StrCat("key set ", name, ": a change failed: ", status.ToString())});
  return ForCaller(status);
}

absl::Status KeySetStore::CheckWritable() const {
  if (!options_.is_read_only) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this server may only read its key sets (--key_set_dir_read_only)");
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

absl::Status KeySetStore::Delete(const std::string& name) {
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
  return absl::OkStatus();
}

}  // namespace qkserve
