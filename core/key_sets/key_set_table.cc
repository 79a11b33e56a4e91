#include "core/key_sets/key_set_table.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_text.h"
#include "base/utf8.h"

namespace qkserve {

absl::Status NoSuchKeySet(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("no key set has the name '", Utf8Prefix(name, 128), "'"));
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetTable::Find(absl::string_view name) const {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry != sets_.end()) return entry->second.key_set;
  return NoSuchKeySet(name);
}

absl::StatusOr<KeySetTable::Listed> KeySetTable::Get(absl::string_view name) const {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry != sets_.end()) return entry->second;
  return NoSuchKeySet(name);
}

std::vector<KeySetTable::Listed> KeySetTable::List(absl::string_view after, int64_t count,
                                                   absl::string_view prefix) const {
  std::vector<Listed> listed;
  MutexLock lock(&mutex_);
  for (auto entry = after < prefix ? sets_.lower_bound(prefix) : sets_.upper_bound(after);
       entry != sets_.end() && absl::StartsWith(entry->first, prefix) &&
       static_cast<int64_t>(listed.size()) < count;
       ++entry) {
    listed.push_back(entry->second);
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
  Listed listed = {name, std::move(key_set), ""};
  if (!listed.key_set.ok()) {
    const absl::Status& status = listed.key_set.status();
    listed.problem = StatusText(status);
    absl::Status named(status.code(),
                       absl::StrCat("key set ", name, " is not served: ", status.message()));
    status.ForEachPayload([&named](absl::string_view type, const absl::Cord& payload) {
      named.SetPayload(type, payload);
    });
    listed.key_set = std::move(named);
  }
  MutexLock lock(&mutex_);
  const bool was_unserved = IsUnserved(name);
  Listed& entry = sets_[name];
  problem_count_ += (listed.problem.empty() ? 0 : 1) - (entry.problem.empty() ? 0 : 1);
  unserved_count_ += (listed.key_set.ok() ? 0 : 1) - (was_unserved ? 1 : 0);
  // The replaced version may be large. It is freed after the lock is released.
  std::swap(entry, listed);
}

void KeySetTable::Unpublish(const std::string& name) {
  // The old entry is freed after the lock is released, as in Publish.
  std::map<std::string, Listed, std::less<>>::node_type old;
  MutexLock lock(&mutex_);
  if (IsUnserved(name)) --unserved_count_;
  old = sets_.extract(name);
  if (!old.empty() && !old.mapped().problem.empty()) --problem_count_;
}

void KeySetTable::SetProblem(const std::string& name, const std::string& problem) {
  MutexLock lock(&mutex_);
  const auto entry = sets_.find(name);
  if (entry == sets_.end() || !entry->second.key_set.ok()) return;
  problem_count_ += (problem.empty() ? 0 : 1) - (entry->second.problem.empty() ? 0 : 1);
  entry->second.problem = problem;
}

int64_t KeySetTable::count() const {
  MutexLock lock(&mutex_);
  return static_cast<int64_t>(sets_.size());
}

int64_t KeySetTable::problem_count() const {
  MutexLock lock(&mutex_);
  return problem_count_;
}

int64_t KeySetTable::unserved_count() const {
  MutexLock lock(&mutex_);
  return unserved_count_;
}

bool KeySetTable::IsUnserved(const std::string& name) const {
  const auto entry = sets_.find(name);
  return entry != sets_.end() && !entry->second.key_set.ok();
}

}  // namespace qkserve
