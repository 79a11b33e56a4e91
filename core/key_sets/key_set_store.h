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

// The key sets of a server. The store serves the newest version of each name, and makes new
// versions, in memory alone or in a directory as well.
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

    // Asked while sets are read, from any thread. If it returns true, Open ends with CANCELLED.
    std::function<bool()> is_stopping = [] { return false; };

    // Takes messages to the operator. Called from any thread.
    LogSink log = [](const LogEvent&) {};
  };
  using Listed = KeySetTable::Listed;

  // Opens a store and loads all sets of the directory. A set that cannot be loaded is logged, and
  // answers with its error. Errors are those of KeySetDirectory::Open.
  static absl::StatusOr<std::unique_ptr<KeySetStore>> Open(const Options& options,
                                                           FileSystem* files);

  // The newest version. NOT_FOUND: there is no such set. DATA_LOSS or RESOURCE_EXHAUSTED: it could
  // not be loaded.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const {
    return table_.Find(name);
  }

  // The newest version, for an append. FAILED_PRECONDITION: it is not the expected one.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;

  // See KeySetTable.
  absl::StatusOr<Listed> Get(absl::string_view name) const { return table_.Get(name); }
  // Up to `count` sets in the order of their names, from the first name after `after`. Only names
  // that begin with `prefix`.
  std::vector<Listed> List(absl::string_view after, int64_t count,
                           absl::string_view prefix = "") const {
    return table_.List(after, count, prefix);
  }
  int64_t count() const { return table_.count(); }
  int64_t problem_count() const { return table_.problem_count(); }
  int64_t unserved_count() const { return table_.unserved_count(); }

  // FAILED_PRECONDITION: the store is read-only.
  absl::Status CheckWritable() const;

  // Begins a put or an append. INVALID_ARGUMENT: the name. FAILED_PRECONDITION: the store is
  // read-only, or the append expects another version or has a shape that does not fit. NOT_FOUND,
  // DATA_LOSS: an append to a set that does not exist or is damaged. RESOURCE_EXHAUSTED: memory or
  // disk is full. INTERNAL: another error of a file, which the log has.
  absl::StatusOr<std::unique_ptr<KeySetUpload>> BeginUpload(const KeySetUploadSpec& spec);

  // Deletes the set, in memory and in files. If `version` is not null and a version was served,
  // sets `*version` to that version. NOT_FOUND. FAILED_PRECONDITION: the store is read-only.
  // INTERNAL: an error of a file, which the log has.
  absl::Status Delete(const std::string& name, int64_t* version = nullptr);

  // Loads what another server has written to the directory since the last call: see
  // DirectoryFollower. Does nothing unless the store is read-only.
  void Refresh();

  const ByteBudget& budget() const { return budget_; }

 private:
  friend class KeySetUpload;

  explicit KeySetStore(const Options& options);

  absl::Status OpenDirectory(FileSystem* files);
  // Logs an error of the directory, and returns what a caller may see of it.
  absl::Status FailedChange(const std::string& name, const absl::Status& status) const;

  // The next members are for uploads.
  //
  // Returns the version that an append grows from, after all checks.
  absl::StatusOr<std::shared_ptr<const KeySet>> CheckedAppendBase(
      const KeySetUploadSpec& spec) const;
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit(KeySetUpload& upload);
  absl::StatusOr<std::shared_ptr<const KeySet>> CommitVersion(KeySetUpload& upload);
  // Returns a version that was never given before. RESOURCE_EXHAUSTED: `is_new` is true, and there
  // are kKeySetsMax sets.
  absl::StatusOr<int64_t> NewVersion(bool is_new);

  const Options options_;
  mutable ByteBudget budget_;
  KeySetTable table_;
  NameMutexes change_mutexes_;  // held so that changes of one set follow one another

  Mutex version_mutex_;
  int64_t last_version_ ABSL_GUARDED_BY(version_mutex_) = 0;

  // These are null for a store in memory only. Those with threads are last, because they use the
  // others.
  std::unique_ptr<KeySetDirectory> directory_;
  std::unique_ptr<BackgroundMerger> merger_;  // null for a read-only store, too
  std::unique_ptr<DirectoryFollower> follower_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
