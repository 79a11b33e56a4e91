#ifndef QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_
#define QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/byte_budget.h"
#include "base/mutex.h"
#include "core/key_sets/key_set_table.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// Loads the sets of a directory into a table, and follows what another server writes there.
// Thread-safe.
class DirectoryFollower {
 public:
  // The pointers must outlive the follower.
  DirectoryFollower(const KeySetDirectory* directory, DirectoryObserver observer,
                    ByteBudget* budget, KeySetTable* table)
      : directory_(*directory), observer_(std::move(observer)), budget_(*budget), table_(*table) {}

  // Loads all sets with up to `threads` threads, and logs each. A set that cannot be loaded is
  // published with its error. `begin` is the time (Clock::Monotonic()) when opening the directory
  // began. CANCELLED: is_stopping returned true. Other errors are those of listing the directory.
  absl::Status LoadAll(int threads, absl::Time begin);

  // Starts a thread that calls Refresh after each `interval`.
  void Start(absl::Duration interval);

  // Loads changed sets and drops deleted ones. If the directory is missing, empty or unreadable,
  // all sets stay, each with a problem. Blocks while files are read.
  void Refresh();

 private:
  // The last attempt to load a version that the table does not have.
  struct Attempt {
    int64_t version = 0;
    int64_t looks_at_damage = 0;  // refreshes since this version was found damaged; 0: undamaged
    std::string log_line;
  };

  // Loads the stored version and publishes it. If loading fails while an older version is served,
  // the older version stays and gets a problem. If no version is served, the error is published.
  // DirectoryErrorForCaller converts errors other than NOT_FOUND and CANCELLED. Calls for one set
  // must not run at the same time.
  absl::Status LoadOne(const std::string& name);
  void LogLoaded(const std::string& name, size_t done, size_t count) const;
  // Logs `status` if it differs from the status that was logged last. An error means that the
  // directory cannot be followed.
  void LogDirectoryStatus(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RefreshOne(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const KeySetDirectory& directory_;
  const DirectoryObserver observer_;
  ByteBudget& budget_;
  KeySetTable& table_;

  Mutex mutex_;  // held by Refresh while it loads versions, one after another
  absl::Status directory_status_ ABSL_GUARDED_BY(mutex_);  // the status that was logged last
  std::map<std::string, Attempt> attempts_ ABSL_GUARDED_BY(mutex_);

  std::optional<BackgroundThread> thread_;  // the last member, because the thread uses the others
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_
