#ifndef QKSERVE_TESTS_SUPPORT_FORGETFUL_FILE_SYSTEM_H_
#define QKSERVE_TESTS_SUPPORT_FORGETFUL_FILE_SYSTEM_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "core/key_sets/storage/file_system.h"

namespace qkserve {

// A file system in memory. A crash of its machine may undo each change that was not synced; a seed
// decides for each. The contents of a file need Sync. Names that were created, renamed or removed
// need SyncDirectory. A rename is kept or forgotten as a whole.
//
// Operations that change something are counted. The test can make one of them fail, or stop the
// machine at one.
//
// Thread-safe.
class ForgetfulFileSystem : public FileSystem {
 public:
  ForgetfulFileSystem();
  ~ForgetfulFileSystem() override;

  // The number of operations so far that changed something.
  int64_t operations() const;

  // Stops the machine at this operation, counted from 0. This and all later operations have no
  // effect and fail, until Restart.
  void StopAt(int64_t operation);
  // Makes only this operation fail. If `effect` is true, the operation takes effect nevertheless.
  void FailAt(int64_t operation, bool effect);

  // Makes the machine crash and start again. Files and locks from before the crash must be closed.
  void Crash(uint64_t seed);
  // Called when the process has ended but the machine still runs. No change is lost.
  void Restart();

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::Status SyncFile(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<Entry>> List(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  friend class ForgetfulWritableFile;
  friend class ForgetfulFileLock;

  struct Node;
  using NodePointer = std::shared_ptr<Node>;
  // A change of a name in a directory. The name now stands for something else, or for nothing.
  struct Change {
    NodePointer directory;
    std::string name;
    NodePointer to;
  };
  using Changes = std::vector<Change>;  // kept or forgotten together

  enum class Outcome { kDone, kFails, kFailsWithEffect };
  Outcome NextOperation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static absl::Status ToStatus(Outcome outcome);
  NodePointer Find(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the directory that contains `path`. Sets `name` to the last part of `path`.
  NodePointer FindParent(const std::string& path, std::string* name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Apply(Changes changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Forget(Node& node, std::mt19937_64& random);

  mutable Mutex mutex_;
  NodePointer root_ ABSL_GUARDED_BY(mutex_);
  std::vector<Changes> unsynced_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> locks_ ABSL_GUARDED_BY(mutex_);
  int64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t stop_at_ ABSL_GUARDED_BY(mutex_) = std::numeric_limits<int64_t>::max();
  int64_t fail_at_ ABSL_GUARDED_BY(mutex_) = -1;
  bool fail_with_effect_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_FORGETFUL_FILE_SYSTEM_H_
