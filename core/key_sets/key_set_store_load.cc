// What a store reads of its directory: all of it at the start, then what another server writes.

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "core/key_sets/key_set_store.h"
#include "core/key_sets/storage/directory_error.h"

namespace qkserve {
namespace {

// At look 2, 4, 8, 16, 32, and at each 64th from then on.
bool IsTimeToLookAgain(int64_t look) {
  constexpr int64_t kLooksMax = 64;
  return look % kLooksMax == 0 || (look < kLooksMax && (look & (look - 1)) == 0);
}

std::string Rounded(absl::Duration time) {
  return absl::FormatDuration(absl::Ceil(time, absl::Milliseconds(1)));
}

}  // namespace

absl::Status KeySetStore::LoadAll(absl::Time begin) {
  const absl::StatusOr<std::vector<std::string>> names = directory_->ListNames();
  if (!names.ok()) return names.status();
  const absl::Time opened = absl::Now();
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  const auto load = [&] {
    for (size_t i = next++; i < names->size(); i = next++) {
      const std::string& name = (*names)[i];
      if (absl::IsCancelled(LoadOne(name))) return;  // other errors are told by Find
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
  if (options_.is_stopping()) return absl::CancelledError("the process is to end");
  if (!names->empty()) {
    const absl::Time now = absl::Now();
    options_.log({LogLevel::kInfo,
                  absl::StrFormat("%d key sets, %d bytes in memory, loaded in %s: the directory "
                                  "opened in %s, the sets read in %s",
                                  names->size(), budget_.bytes(), Rounded(now - begin),
                                  Rounded(opened - begin), Rounded(now - opened))});
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
  if (absl::IsNotFound(loaded.status())) {
    // Deleted since it was listed, which the next listing tells; or its folder was emptied.
    if (current == nullptr) {
      Hide(name);
      return loaded.status();
    }
    loaded = absl::DataLossError("neither its manifest nor a segment is there");
  }
  if (absl::IsCancelled(loaded.status())) return loaded.status();
  absl::Status status = DirectoryErrorForCaller(loaded.status(), directory_->path());
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

void KeySetStore::Refresh() {
  if (directory_ == nullptr || !options_.is_read_only) return;
  MutexLock refresh_lock(&refresh_mutex_);
  std::map<std::string, int64_t> served;
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) {
      served.emplace(name, set.key_set.ok() ? (*set.key_set)->version() : 0);
    }
  }
  const absl::StatusOr<KeySetDirectory::Changes> changes = directory_->FindChanges(served);
  TellDirectory(changes.status());
  if (!changes.ok()) {
    const std::string problem =
        absl::StrCat("is not followed: ",
                     DirectoryErrorForCaller(changes.status(), directory_->path()).ToString());
    for (const auto& [name, version] : served) SetProblem(name, problem);
    return;
  }
  for (const std::string& name : changes->deleted) {
    Hide(name);
    looks_.erase(name);
  }
  for (const std::string& name : changes->there) RefreshOne(name);
}

void KeySetStore::TellDirectory(const absl::Status& status) {
  if (status == directory_status_) return;
  directory_status_ = status;
  if (status.ok()) {
    options_.log({LogLevel::kInfo, "key_set_dir: is followed again"});
  } else {
    options_.log(
        {LogLevel::kWarning,
         absl::StrCat("key_set_dir: what was loaded goes on being served: ", status.ToString())});
  }
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
  if (absl::IsCancelled(status)) return;
  if (!absl::IsDataLoss(status) || last.version != stored.value_or(0)) last.looks_at_damage = 0;
  if (absl::IsDataLoss(status)) last.looks_at_damage = std::max<int64_t>(last.looks_at_damage, 1);
  last.version = stored.value_or(0);
  std::string line = absl::StrCat(
      "key set ", name, ": ", status.ok() ? absl::StrCat("version ", *stored) : status.ToString());
  if (line == last.line) return;  // said already
  options_.log({status.ok() ? LogLevel::kInfo : LogLevel::kWarning, line});
  last.line = std::move(line);
}

}  // namespace qkserve
