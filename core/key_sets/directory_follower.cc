#include "core/key_sets/directory_follower.h"

#include <algorithm>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/directory_error.h"

namespace qkserve {
namespace {

// True at look 2, 4, 8, 16 and 32, and at each 64th from then on.
bool IsTimeToReadAgain(int64_t look) {
  constexpr int64_t kLooksMax = 64;
  return look % kLooksMax == 0 || (look < kLooksMax && (look & (look - 1)) == 0);
}

}  // namespace

DirectoryFollower::~DirectoryFollower() {
  {
    MutexLock lock(&stop_mutex_);
    is_stopping_ = true;
    stop_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void DirectoryFollower::Start(absl::Duration interval) {
  thread_ = std::thread([this, interval] { Loop(interval); });
}

void DirectoryFollower::Loop(absl::Duration interval) {
  while (true) {
    {
      MutexLock lock(&stop_mutex_);
      if (!is_stopping_) stop_.WaitFor(&stop_mutex_, interval);
      if (is_stopping_) return;
    }
    Refresh();
  }
}

void DirectoryFollower::Refresh() {
  MutexLock lock(&mutex_);
  const std::map<std::string, int64_t> served = table_.Versions();
  const absl::StatusOr<KeySetDirectory::Changes> changes = directory_.FindChanges(served);
  LogDirectoryStatus(changes.status());
  if (!changes.ok()) {
    const std::string problem =
        absl::StrCat("is not followed: ",
                     DirectoryErrorForCaller(changes.status(), directory_.path()).ToString());
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
    log_({LogLevel::kInfo, "key_set_dir: is followed again"});
  } else {
    log_({LogLevel::kWarning,
          absl::StrCat("key_set_dir: what was loaded goes on being served: ", status.ToString())});
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
  // A damaged version is read again seldom: its files may still have been copied.
  Attempt& last = attempts_[name];
  if (last.looks_at_damage > 0 && last.version == stored.value_or(0) &&
      !IsTimeToReadAgain(++last.looks_at_damage)) {
    return;
  }
  const absl::Status status = loader_.LoadOne(name);
  if (absl::IsCancelled(status)) return;
  if (!absl::IsDataLoss(status) || last.version != stored.value_or(0)) last.looks_at_damage = 0;
  if (absl::IsDataLoss(status)) last.looks_at_damage = std::max<int64_t>(last.looks_at_damage, 1);
  last.version = stored.value_or(0);
  std::string line = absl::StrCat(
      "key set ", name, ": ", status.ok() ? absl::StrCat("version ", *stored) : status.ToString());
  if (line == last.log_line) return;
  log_({status.ok() ? LogLevel::kInfo : LogLevel::kWarning, line});
  last.log_line = std::move(line);
}

}  // namespace qkserve
