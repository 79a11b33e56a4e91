#include "core/key_sets/background_merger.h"

#include "absl/strings/str_cat.h"

namespace qkserve {

BackgroundMerger::~BackgroundMerger() {
  MutexLock lock(&mutex_);
  is_stopping_ = true;
}

void BackgroundMerger::Schedule(const std::string& name) {
  {
    MutexLock lock(&mutex_);
    if (!scheduled_.insert(name).second) return;
  }
  thread_.Schedule([this, name] { Run(name); });
}

void BackgroundMerger::Run(const std::string& name) {
  {
    MutexLock lock(&mutex_);
    scheduled_.erase(name);
    if (is_stopping_) return;
  }
  const absl::StatusOr<bool> merged = Merge(name);
  if (!merged.ok() && !absl::IsNotFound(merged.status())) {
    log_({LogLevel::kWarning, absl::StrCat("key set ", name, ": segments are not merged: ",
                                           merged.status().ToString())});
  }
  // Appends may have been faster than this step.
  if (merged.ok() && *merged) Schedule(name);
}

absl::StatusOr<bool> BackgroundMerger::Merge(const std::string& name) {
  // The copy may be gigabytes, and must not hold up changes of the set.
  absl::StatusOr<KeySetDirectory::Merge> merge = directory_.CopyForMerge(name);
  if (!merge.ok()) return merge.status();
  if (merge->merged == nullptr) return false;
  MutexLock lock(&change_mutexes_.For(name));
  return directory_.FinishMerge(name, *std::move(merge));
}

}  // namespace qkserve
