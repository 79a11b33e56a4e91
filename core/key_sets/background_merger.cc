#include "core/key_sets/background_merger.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/status_text.h"

namespace qkserve {

void BackgroundMerger::Schedule(const std::string& name) {
  {
    MutexLock lock(&mutex_);
    scheduled_.insert(name);
  }
  thread_.Wake();
}

absl::Duration BackgroundMerger::MergeScheduled() {
  std::set<std::string> names;
  {
    MutexLock lock(&mutex_);
    names.swap(scheduled_);
  }
  for (const std::string& name : names) {
    if (thread_.IsStopRequested()) break;
    const absl::StatusOr<bool> merged = Merge(name);
    if (!merged.ok() && !absl::IsNotFound(merged.status())) {
      log_({LogLevel::kWarning, absl::StrCat("key set ", name, ": segments are not merged: ",
                                             StatusText(merged.status()))});
    }
    // The set is merged again later, because appends may have added segments faster than this step
    // merged them.
    if (merged.value_or(false)) Schedule(name);
  }
  return absl::InfiniteDuration();
}

absl::StatusOr<bool> BackgroundMerger::Merge(const std::string& name) {
  // The set is not locked during the copy, because a copy may be gigabytes and changes must not
  // wait for it.
  ASSIGN_OR_RETURN(SegmentMerge merge, directory_.CopyForMerge(name));
  if (merge.merged == nullptr) return false;
  MutexLock lock(&change_mutexes_.For(name));
  return directory_.FinishMerge(name, std::move(merge));
}

}  // namespace qkserve
