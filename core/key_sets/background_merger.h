#ifndef QKSERVE_CORE_KEY_SETS_BACKGROUND_MERGER_H_
#define QKSERVE_CORE_KEY_SETS_BACKGROUND_MERGER_H_

#include <array>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// The mutex of a name is held while the set of that name is changed. All names share 64 mutexes.
class NameMutexes {
 public:
  Mutex& For(absl::string_view name) {
    return mutexes_[std::hash<std::string_view>()({name.data(), name.size()}) % mutexes_.size()];
  }

 private:
  std::array<Mutex, 64> mutexes_;
};

// Merges the segments that appends add, on a background thread. Thread-safe.
class BackgroundMerger {
 public:
  // The pointers must outlive the merger.
  BackgroundMerger(KeySetDirectory* directory, NameMutexes* change_mutexes, LogSink log)
      : directory_(*directory), change_mutexes_(*change_mutexes), log_(std::move(log)) {}

  // Lets the background thread merge the set's segments until nothing is left to merge. Does not
  // block.
  void Schedule(const std::string& name);

 private:
  // Does one merge step for each scheduled set. Returns how long to pause.
  absl::Duration MergeScheduled();
  // Runs one merge step. Returns true if segments were merged. More may then be left to merge.
  absl::StatusOr<bool> Merge(const std::string& name);

  KeySetDirectory& directory_;
  NameMutexes& change_mutexes_;
  const LogSink log_;
  Mutex mutex_;
  std::set<std::string> scheduled_ ABSL_GUARDED_BY(mutex_);
  // The thread is the last member, because it uses the others. ~BackgroundThread waits for the
  // running merge. Sets that are still scheduled then are merged after their next append.
  BackgroundThread thread_{[this] { return MergeScheduled(); }};
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_BACKGROUND_MERGER_H_
