#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/task_pool.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_upload.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// The key sets of a server: which version of which name is the newest, and how a new one comes to
// be. In memory alone, or kept in a directory as well.
//
// Thread-safe. Find and List never block for long; uploads, Delete and Refresh read and write
// files.
class KeySetStore {
 public:
  struct Options {
    std::string directory = {};    // empty: memory only
    bool is_read_only = false;     // follow what another server writes there
    int64_t memory_bytes_max = 0;  // of packed keys and values
    int load_threads = 1;
    // How often a read-only store looks for new versions; never where it is infinite.
    absl::Duration refresh_every = absl::InfiniteDuration();

    // Asked while sets are read, from any thread. true: Open ends with CANCELLED.
    std::function<bool()> is_stopping = [] { return false; };

    // For messages to the operator, from any thread.
    LogSink log = [](const LogEvent&) {};
  };

  // Loads all sets of the directory. Errors: those of KeySetDirectory::Open; a set that cannot be
  // loaded is logged, and answers with its error.
  static absl::StatusOr<std::unique_ptr<KeySetStore>> Open(const Options& options,
                                                           FileSystem* files);
  ~KeySetStore();

  // The newest version. NOT_FOUND; DATA_LOSS or RESOURCE_EXHAUSTED: it could not be loaded.
  absl::StatusOr<std::shared_ptr<const KeySet>> Find(absl::string_view name) const;

  // The same, for who will append to that version. FAILED_PRECONDITION: the set is at another one.
  absl::StatusOr<std::shared_ptr<const KeySet>> FindForAppend(absl::string_view name,
                                                              int64_t expected_version) const;

  struct Listed {
    std::string name;
    absl::StatusOr<std::shared_ptr<const KeySet>> key_set;
    std::string problem;  // why a version that is stored is not served, in place of a set or beside
                          // an older version of it
  };
  // What Find finds, and what is wrong with it. NOT_FOUND.
  absl::StatusOr<Listed> Get(absl::string_view name) const;
  // Up to `count` sets whose names follow `after`, in order.
  std::vector<Listed> List(absl::string_view after, int64_t count) const;

  // INVALID_ARGUMENT: the name. FAILED_PRECONDITION: read-only; an append to another version, or
  // whose shape does not fit. NOT_FOUND, DATA_LOSS: an append to a set that is not there.
  // RESOURCE_EXHAUSTED: memory or disk. INTERNAL: another error of a file; the log has it.
  absl::StatusOr<std::unique_ptr<KeySetUpload>> BeginUpload(const KeySetUploadSpec& spec);

  // `version`, where it is given, becomes that of the set, if one was served. NOT_FOUND,
  // FAILED_PRECONDITION (read-only). INTERNAL: a file's error; the log has it.
  absl::Status Delete(const std::string& name, int64_t* version = nullptr);

  // Takes in what another server has written to the directory since. For read-only stores. Where
  // the directory is away, empty or cannot be read, all sets stay, and have a problem.
  void Refresh();

  const ByteBudget& budget() const { return budget_; }
  int64_t count() const;
  // Sets of which something that is stored is not served.
  int64_t problem_count() const;

 private:
  friend class KeySetUpload;

  explicit KeySetStore(const Options& options);

  void Show(const std::string& name, absl::StatusOr<std::shared_ptr<const KeySet>> key_set);
  void Hide(const std::string& name);
  void SetProblem(const std::string& name, const std::string& problem);

  // Reading the directory: key_set_store_load.cc.
  // Of a store that is being opened since `begin`.
  absl::Status LoadAll(absl::Time begin);
  // Shows the version that is stored, or why there is none; what is there may stay.
  absl::Status LoadOne(const std::string& name);
  void FollowLoop();
  // Says, once, that the directory cannot be followed, or can again where it is OK.
  void TellDirectory(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  void RefreshOne(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);

  // Changing sets: key_set_store_change.cc.
  absl::Status CheckWritable() const;
  // An error of the directory as a caller is told it; the log is told all.
  absl::Status FailedChange(const std::string& name, const absl::Status& status) const;
  // Held while a set is changed, so that its changes follow one another.
  Mutex& WriteMutex(absl::string_view name) const;
  // The version that an append grows from, once all that it needs of it is checked.
  absl::StatusOr<std::shared_ptr<const KeySet>> BaseOf(const KeySetUploadSpec& spec) const;
  absl::StatusOr<std::shared_ptr<const KeySet>> Commit(KeySetUpload& upload);
  absl::StatusOr<std::shared_ptr<const KeySet>> CommitVersion(KeySetUpload& upload);
  void ScheduleMerge(const std::string& name);
  // Some segments, where there are many. Whether it has, and there may be more.
  absl::StatusOr<bool> Merge(const std::string& name);

  const Options options_;
  mutable ByteBudget budget_;
  std::unique_ptr<KeySetDirectory> directory_;  // null: memory only

  mutable std::array<Mutex, 64> write_mutexes_;

  mutable Mutex mutex_;
  struct Entry {
    absl::StatusOr<std::shared_ptr<const KeySet>> key_set;
    std::string problem = {};

    bool HasProblem() const { return !key_set.ok() || !problem.empty(); }
  };
  static Listed ToListed(const std::string& name, const Entry& entry);
  std::map<std::string, Entry, std::less<>> sets_ ABSL_GUARDED_BY(mutex_);
  int64_t problem_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t last_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> merging_ ABSL_GUARDED_BY(mutex_);

  // Held by Refresh: versions are loaded one after another.
  Mutex refresh_mutex_;
  // What Refresh last found of a set that it did not have.
  struct Look {
    int64_t version = 0;
    int64_t looks_at_damage = 0;  // since this version was found damaged
    std::string line;
  };
  absl::Status directory_status_ ABSL_GUARDED_BY(refresh_mutex_);  // that was told last
  std::map<std::string, Look> looks_ ABSL_GUARDED_BY(refresh_mutex_);

  CondVar stop_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread follower_;
  TaskPool merges_{1};  // last: its tasks use what is above
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_STORE_H_
