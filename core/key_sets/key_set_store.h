#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/key_sets/background_merger.h"
#include "core/key_sets/directory_follower.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_table.h"
#include "core/key_sets/key_set_upload.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// The key sets of a server: serves the newest version of each name, and makes new versions, in
// memory alone or in a directory as well.
//
// Thread-safe. Find, Get and List never block for long. Uploads, Delete and Refresh block while
// they read and write files.
class KeySetStore {
 public:
  struct Options {
    std::string directory = {};    // empty: memory only
    bool is_read_only = false;     // follow what another server writes there
    int64_t memory_bytes_max = 0;  // of packed keys and values
    int load_threads = 1;
    // Interval at which a read-only store looks for new versions; infinite: never.
    absl::Duration refresh_every = absl::InfiniteDuration();

    // Called while sets are read, from any thread. true: Open ends with CANCELLED.
    std::function<bool()> is_stopping = [] { return false; };

    // For messages to the operator, from any thread.
    LogSink log = [](const LogEvent&) {};
  };
  using Listed = KeySetTable::Listed;

  // Loads all sets of the directory. Errors: those of KeySetDirectory::Open; a set that cannot be
  // loaded is logged, and answers with its error.
  static absl::StatusOr<std::unique_ptr<KeySetStore>> Open(const Options& options,
                                                           FileSystem* files);

  // The newest version. NOT_FOUND; DATA_LOSS or RESOURCE_EXHAUSTED: it could not be loaded.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const {
    return table_.Find(name);
  }

  // The newest version, to append to it. FAILED_PRECONDITION: it is not the expected one.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;

  // See KeySetTable.
  absl::StatusOr<Listed> Get(absl::string_view name) const { return table_.Get(name); }
  // Up to `count` sets whose names follow `after`, in order.
  std::vector<Listed> List(absl::string_view after, int64_t count) const {
    return table_.List(after, count);
  }
  int64_t count() const { return table_.count(); }
  int64_t problem_count() const { return table_.problem_count(); }

  // INVALID_ARGUMENT: the name. FAILED_PRECONDITION: read-only; an append to another version, or
  // whose shape does not fit. NOT_FOUND, DATA_LOSS: an append to a set that does not exist or is
  // damaged. RESOURCE_EXHAUSTED: memory or disk. INTERNAL: another error of a file; the log has it.
  absl::StatusOr<std::unique_ptr<KeySetUpload>> BeginUpload(const KeySetUploadSpec& spec);

  // Deletes the set, in memory and in files. Sets `*version`, if it is not null, to the version
  // that was served; it is left alone if none was. NOT_FOUND, FAILED_PRECONDITION (read-only).
  // INTERNAL: a file's error; the log has it.
  absl::Status Delete(const std::string& name, int64_t* version = nullptr);

  // Loads what another server has written to the directory since: see DirectoryFollower. Does
  // nothing unless the store is read-only.
  void Refresh();

  const ByteBudget& budget() const { return budget_; }

 private:
  friend class KeySetUpload;

  explicit KeySetStore(const Options& options);

  absl::Status OpenDirectory(FileSystem* files);
  absl::Status CheckWritable() const;
  // Logs an error of the directory, and returns what a caller may see of it.
  absl::Status FailedChange(const std::string& name, const absl::Status& status) const;

  // For uploads.
  // The version that an append grows from, after all checks.
  absl::StatusOr<std::shared_ptr<const KeySet>> CheckedAppendBase(
      const KeySetUploadSpec& spec) const;
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit(KeySetUpload& upload);
  absl::StatusOr<std::shared_ptr<const KeySet>> CommitVersion(KeySetUpload& upload);
  // A version that was never given before. RESOURCE_EXHAUSTED: `is_new` is set, and there are
  // kKeySetsMax sets.
  absl::StatusOr<int64_t> NewVersion(bool is_new);

  const Options options_;
  mutable ByteBudget budget_;
  KeySetTable table_;
  NameMutexes change_mutexes_;  // so that changes of one set follow one another

  Mutex version_mutex_;
  int64_t last_version_ ABSL_GUARDED_BY(version_mutex_) = 0;

  // Null for a store in memory only. The last ones have threads, which use the others.
  std::unique_ptr<KeySetDirectory> directory_;
  std::unique_ptr<BackgroundMerger> merger_;  // null also for a read-only store
  std::unique_ptr<DirectoryFollower> follower_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
