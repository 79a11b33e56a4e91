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

// The key sets of a server. The store serves the newest version of each name and makes new
// versions. Versions are kept in memory and, if there is a directory, in files.
//
// Thread-safe. Find, Get and List never block for long. Uploads, Delete and Refresh block while
// they read and write files.
class KeySetStore {
 public:
  struct Options {
    std::string directory = {};    // empty: sets are in memory only
    bool is_read_only = false;     // true: follow what another server writes in the directory
    int64_t memory_bytes_max = 0;  // limit for packed keys and values
    int load_threads = 1;
    // The interval at which a read-only store looks for new versions. Infinite: it never looks.
    absl::Duration refresh_every = absl::InfiniteDuration();

    // Called while sets are read, from any thread. If it returns true, Open returns CANCELLED.
    std::function<bool()> is_stopping = [] { return false; };

    // Receives messages for the operator. Called from any thread.
    LogSink log = [](const LogEvent&) {};
  };
  using Listed = KeySetTable::Listed;

  // Opens a store and loads all sets of the directory. If a set cannot be loaded, the error is
  // logged and Find returns it. The errors of Open are those of KeySetDirectory::Open.
  static absl::StatusOr<std::unique_ptr<KeySetStore>> Open(const Options& options,
                                                           FileSystem* files);

  // Returns the newest version. NOT_FOUND: there is no such set. DATA_LOSS or RESOURCE_EXHAUSTED:
  // the set could not be loaded.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const {
    return table_.Find(name);
  }

  // Returns the newest version, for an append. FAILED_PRECONDITION: the newest version is not
  // `expected_version`. Other errors are those of Find.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;

  // See KeySetTable.
  absl::StatusOr<Listed> Get(absl::string_view name) const { return table_.Get(name); }
  // Returns up to `count` sets whose names begin with `prefix` and come after `after`, in the order
  // of their names.
  std::vector<Listed> List(absl::string_view after, int64_t count,
                           absl::string_view prefix = "") const {
    return table_.List(after, count, prefix);
  }
  int64_t count() const { return table_.count(); }
  int64_t problem_count() const { return table_.problem_count(); }
  int64_t unserved_count() const { return table_.unserved_count(); }

  // Returns FAILED_PRECONDITION if the store is read-only.
  absl::Status CheckWritable() const;

  // Begins a put or an append. INVALID_ARGUMENT: the name or a size is not valid.
  // FAILED_PRECONDITION: the store is read-only, or the append expects another version or has a
  // shape that does not fit. NOT_FOUND, DATA_LOSS: an append to a set that does not exist or is
  // damaged. RESOURCE_EXHAUSTED: memory or disk is full. INTERNAL: another file operation failed;
  // the error is logged.
  absl::StatusOr<std::unique_ptr<KeySetUpload>> BeginUpload(const KeySetUploadSpec& spec);

  // Deletes the set from memory and from files. If `version` is not null and a version was served,
  // sets `*version` to that version. NOT_FOUND: there is no such set. FAILED_PRECONDITION: the
  // store is read-only. INTERNAL: a file operation failed; the error is logged.
  absl::Status Delete(const std::string& name, int64_t* version = nullptr);

  // Loads what another server has written to the directory since the last call (see
  // DirectoryFollower). Does nothing unless the store is read-only.
  void Refresh();

  const ByteBudget& budget() const { return budget_; }

 private:
  friend class KeySetUpload;

  explicit KeySetStore(const Options& options);

  absl::Status OpenDirectory(FileSystem* files);
  // Logs an error of the directory. Returns the error, converted by DirectoryErrorForCaller.
  absl::Status FailedChange(const std::string& name, const absl::Status& status) const;

  // The next members are for uploads.
  //
  // Returns the version that an append grows from, after all checks.
  absl::StatusOr<std::shared_ptr<const KeySet>> CheckedAppendBase(
      const KeySetUploadSpec& spec) const;
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit(KeySetUpload& upload);
  absl::StatusOr<std::shared_ptr<const KeySet>> CommitVersion(KeySetUpload& upload);
  // Returns a version number that was never given before. RESOURCE_EXHAUSTED: `is_new` is true, and
  // the store already has kKeySetsMax sets.
  absl::StatusOr<int64_t> NewVersion(bool is_new);

  const Options options_;
  mutable ByteBudget budget_;
  KeySetTable table_;
  NameMutexes change_mutexes_;  // a set's mutex is held while the set is changed

  Mutex version_mutex_;
  int64_t last_version_ ABSL_GUARDED_BY(version_mutex_) = 0;

  // These are null if the store is in memory only. The members with threads are last, because they
  // use the others.
  std::unique_ptr<KeySetDirectory> directory_;
  std::unique_ptr<BackgroundMerger> merger_;  // null for a read-only store, too
  std::unique_ptr<DirectoryFollower> follower_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
