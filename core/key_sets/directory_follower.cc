#include "core/key_sets/directory_follower.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/status_text.h"
#include "core/key_sets/storage/directory_error.h"

namespace qkserve {
namespace {

std::string Rounded(absl::Duration time) {
  return absl::FormatDuration(absl::Ceil(time, absl::Milliseconds(1)));
}

// True for looks 2, 4, 8, 16 and 32 at a damaged version, and for every 64th look.
bool IsTimeToReadAgain(int64_t look) {
  constexpr int64_t kLooksMax = 64;
  return look % kLooksMax == 0 || (look < kLooksMax && (look & (look - 1)) == 0);
}

}  // namespace

absl::Status DirectoryFollower::LoadAll(int threads, absl::Time begin) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory_.ListNames());
  const absl::Time opened = Clock::Monotonic()->Now();
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  const auto load = [&] {
    for (size_t i = next++; i < names.size(); i = next++) {
      if (observer_.is_stopping() || absl::IsCancelled(LoadOne(names[i]))) return;
      LogLoaded(names[i], ++done, names.size());
    }
  };
  std::vector<std::thread> others;
  try {
    const size_t count = std::min(static_cast<size_t>(threads), names.size());
    while (others.size() + 1 < count) others.emplace_back(load);
  } catch (const std::system_error&) {
    // The system gives no more threads. This thread loads what the others do not.
  }
  load();
  for (std::thread& other : others) other.join();
  RETURN_IF_ERROR(observer_.CheckNotStopping());
  if (names.empty()) return absl::OkStatus();
  const absl::Time now = Clock::Monotonic()->Now();
  observer_.log({LogLevel::kInfo,
                 absl::StrFormat("%d key sets, %d bytes in memory, loaded in %s: the directory "
                                 "opened in %s, the sets read in %s",
                                 names.size(), budget_.bytes(), Rounded(now - begin),
                                 Rounded(opened - begin), Rounded(now - opened))});
  return absl::OkStatus();
}

void DirectoryFollower::LogLoaded(const std::string& name, size_t done, size_t count) const {
  const absl::StatusOr<std::shared_ptr<const KeySet>> set = table_.Find(name);
  const std::string loaded = set.ok()
                                 ? absl::StrCat(name, ": version ", (*set)->version(), ", ",
                                                ShapeString((*set)->layout().KeyShape((*set)->m())))
                                 : StatusText(set.status());  // names the set
  observer_.log({set.ok() ? LogLevel::kInfo : LogLevel::kWarning,
                 absl::StrFormat("key set %d of %d: %s", done, count, loaded)});
}

absl::Status DirectoryFollower::LoadOne(const std::string& name) {
  std::shared_ptr<const KeySet> current;
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = table_.Find(name);
  if (found.ok()) current = *found;
  absl::StatusOr<std::shared_ptr<const KeySet>> loaded = directory_.Load(name, &budget_, current);
  if (absl::IsNotFound(loaded.status())) {
    // The set was deleted after it was listed, or its folder was emptied. If the set was deleted,
    // the next listing lacks it.
    if (current == nullptr) {
      table_.Unpublish(name);
      return loaded.status();
    }
    loaded = absl::DataLossError("neither its manifest nor a segment is there");
  }
  if (absl::IsCancelled(loaded.status())) return loaded.status();
  absl::Status status = DirectoryErrorForCaller(loaded.status(), directory_.path());
  if (status.ok()) {
    table_.Publish(name, std::move(loaded));
  } else if (current != nullptr) {
    // The older version stays, because it is complete. Loading fails if the writer replaces the set
    // faster than it is read, if memory is short, or if files are damaged.
    table_.SetProblem(name, absl::StrCat("is behind what is stored: ", StatusText(status)));
  } else {
    table_.Publish(name, status);
  }
  return status;
}

void DirectoryFollower::Start(absl::Duration interval) {
  thread_.emplace([this, interval, is_first = true]() mutable {
    if (!std::exchange(is_first, false)) Refresh();
    return interval;
  });
}

void DirectoryFollower::Refresh() {
  MutexLock lock(&mutex_);
  const std::map<std::string, int64_t> served = table_.Versions();
  const absl::StatusOr<KeySetDirectory::Changes> changes = directory_.FindChanges(served);
  LogDirectoryStatus(changes.status());
  if (!changes.ok()) {
    const std::string problem =
        absl::StrCat("is not followed: ",
                     StatusText(DirectoryErrorForCaller(changes.status(), directory_.path())));
    for (const auto& [name, version] : served) table_.SetProblem(name, problem);
    return;
  }
  for (const std::string& name : changes->deleted) {
    table_.Unpublish(name);
    attempts_.erase(name);
  }
  for (const std::string& name : changes->there) RefreshOne(name);
}

void DirectoryFollower::LogDirectoryStatus(const absl::Status& status) {
  if (status == directory_status_) return;
  directory_status_ = status;
  if (status.ok()) {
    observer_.log({LogLevel::kInfo, "key_set_dir: is followed again"});
  } else {
    observer_.log(
        {LogLevel::kWarning,
         absl::StrCat("key_set_dir: what was loaded goes on being served: ", StatusText(status))});
  }
}

void DirectoryFollower::RefreshOne(const std::string& name) {
  const absl::StatusOr<int64_t> stored = directory_.StoredVersion(name);
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = table_.Find(name);
  if (stored.ok() && found.ok() && (*found)->version() == *stored) {
    table_.SetProblem(name, "");
    attempts_.erase(name);
    return;
  }
  // A damaged version is read again at long intervals, because copying its files may not have
  // finished.
  Attempt& last = attempts_[name];
  if (last.looks_at_damage > 0 && last.version == stored.value_or(0) &&
      !IsTimeToReadAgain(++last.looks_at_damage)) {
    return;
  }
  const absl::Status status = LoadOne(name);
  if (absl::IsCancelled(status)) return;
  if (!absl::IsDataLoss(status) || last.version != stored.value_or(0)) last.looks_at_damage = 0;
  if (absl::IsDataLoss(status)) last.looks_at_damage = std::max<int64_t>(last.looks_at_damage, 1);
  last.version = stored.value_or(0);
  // StoredVersion may have failed although LoadOne could read the set a moment later. The log
  // therefore gives the served version.
  const auto served = table_.Find(name);
  std::string line =
      absl::StrCat("key set ", name, ": ",
                   status.ok() && served.ok() ? absl::StrCat("version ", (*served)->version())
                                              : StatusText(status));
  if (line == last.log_line) return;
  observer_.log({status.ok() ? LogLevel::kInfo : LogLevel::kWarning, line});
  last.log_line = std::move(line);
}

}  // namespace qkserve
