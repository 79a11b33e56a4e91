#include "core/key_sets/key_set_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/utf8.h"

namespace qkserve {

absl::StatusOr<std::unique_ptr<KeySetStore>> KeySetStore::Open(const Options& options,
                                                               FileSystem* files) {
  std::unique_ptr<KeySetStore> store(new KeySetStore(options));
  if (options.directory.empty()) {
    // Numbers must not come again when the process does: begin at the time, in microseconds.
    MutexLock lock(&store->mutex_);
    store->last_version_ = absl::ToUnixMicros(absl::Now());
    return store;
  }
  const absl::Time begin = absl::Now();
  absl::StatusOr<std::unique_ptr<KeySetDirectory>> directory = KeySetDirectory::Open(
      files, options.directory,
      options.is_read_only ? KeySetDirectory::Mode::kReader : KeySetDirectory::Mode::kWriter,
      {.is_stopping = options.is_stopping, .log = options.log});
  if (!directory.ok()) return directory.status();
  store->directory_ = *std::move(directory);
  for (const std::string& note : store->directory_->notes()) {
    options.log({LogLevel::kWarning, note});
  }
  absl::Status status = store->LoadAll(begin);
  if (!status.ok()) return status;
  if (options.is_read_only && options.refresh_every < absl::InfiniteDuration()) {
    store->follower_ = std::thread([raw = store.get()] { raw->FollowLoop(); });
  }
  return store;
}

KeySetStore::KeySetStore(const Options& options)
    : options_(options),
      // Sets are held until they are deleted: a retry does not help soon.
      budget_("key_set_memory", options.memory_bytes_max) {}

KeySetStore::~KeySetStore() {
  {
    MutexLock lock(&mutex_);
    is_stopping_ = true;
    stop_.NotifyAll();
  }
  if (follower_.joinable()) follower_.join();
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetStore::Find(absl::string_view name) const {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry != sets_.end()) return entry->second.key_set;
  return absl::NotFoundError(absl::StrCat("no key set has the name '", Utf8Prefix(name, 128), "'"));
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

}  // namespace qkserve
