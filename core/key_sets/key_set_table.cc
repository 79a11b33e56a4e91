#include "core/key_sets/key_set_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace qkserve {

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetTable::Find(absl::string_view name) const {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry != sets_.end()) return entry->second.key_set;
  return absl::NotFoundError(absl::StrCat("no key set has the name '", Utf8Prefix(name, 128), "'"));
}

KeySetTable::Listed KeySetTable::ToListed(const std::string& name, const Entry& entry) {
  return {name, entry.key_set,
          entry.key_set.ok() ? entry.problem : entry.key_set.status().ToString()};
}

absl::StatusOr<KeySetTable::Listed> KeySetTable::Get(absl::string_view name) const {
  {
    MutexLock lock(&mutex_);
    const auto entry = sets_.find(name);
    if (entry != sets_.end()) return ToListed(entry->first, entry->second);
  }
  return Find(name).status();
}

std::vector<KeySetTable::Listed> KeySetTable::List(absl::string_view after, int64_t count) const {
  std::vector<Listed> listed;
  MutexLock lock(&mutex_);
  for (auto entry = sets_.upper_bound(after);
       entry != sets_.end() && static_cast<int64_t>(listed.size()) < count; ++entry) {
    listed.push_back(ToListed(entry->first, entry->second));
  }
  return listed;
}

std::map<std::string, int64_t> KeySetTable::Versions() const {
  std::map<std::string, int64_t> versions;
  MutexLock lock(&mutex_);
  for (const auto& [name, entry] : sets_) {
    versions.emplace(name, entry.key_set.ok() ? (*entry.key_set)->version() : 0);
  }
  return versions;
}

void KeySetTable::Publish(const std::string& name,
                          absl::StatusOr<std::shared_ptr<const KeySet>> key_set) {
  // The replaced version may be large: it is freed after the lock is released.
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

void KeySetTable::Unpublish(const std::string& name) {
  // As in Publish: freed after the lock is released.
  Entry old = {absl::NotFoundError("")};
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry == sets_.end()) return;
  if (entry->second.HasProblem()) --problem_count_;
  old = std::move(entry->second);
  sets_.erase(entry);
}

void KeySetTable::SetProblem(const std::string& name, const std::string& problem) {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry == sets_.end()) return;
  if (entry->second.HasProblem()) --problem_count_;
  entry->second.problem = problem;
  if (entry->second.HasProblem()) ++problem_count_;
}

int64_t KeySetTable::count() const {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(sets_.size());
}

int64_t KeySetTable::problem_count() const {
  MutexLock lock(&mutex_);
  return problem_count_;
}

}  // namespace qkserve
