#ifndef QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_
#define QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/key_sets/key_set_table.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "core/key_sets/table_loader.h"

namespace qkserve {

// Follows, in a table, what another server writes to a directory. Thread-safe.
class DirectoryFollower {
 public:
  // All must outlive the follower.
  DirectoryFollower(const KeySetDirectory* directory, KeySetTable* table, TableLoader* loader,
                    LogSink log)
      : directory_(*directory), table_(*table), loader_(*loader), log_(std::move(log)) {}
  ~DirectoryFollower();

  // Refreshes every `interval` from now on, on a thread of its own.
  void Start(absl::Duration interval);

  // Loads changed sets and drops deleted ones. If the directory is away, empty or cannot be read,
  // all sets stay, and have a problem. Blocks while it reads.
  void Refresh();

 private:
  // The last attempt at a version that the table does not have.
  struct Attempt {
    int64_t version = 0;
    int64_t looks_at_damage = 0;  // since this version was found damaged; 0: it was not
    std::string log_line;
  };

  void Loop(absl::Duration interval);
  // Logs, once, that the directory cannot be followed or can be again.
  void LogDirectoryStatus(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RefreshOne(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const KeySetDirectory& directory_;
  KeySetTable& table_;
  TableLoader& loader_;
  const LogSink log_;

  Mutex mutex_;  // held by Refresh: versions are loaded one after another
  absl::Status directory_status_ ABSL_GUARDED_BY(mutex_);  // that was logged last
  std::map<std::string, Attempt> attempts_ ABSL_GUARDED_BY(mutex_);

  Mutex stop_mutex_;
  CondVar stop_;
  bool is_stopping_ ABSL_GUARDED_BY(stop_mutex_) = false;
  std::thread thread_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_DIRECTORY_FOLLOWER_H_
