#ifndef QKSERVE_SERVER_LIFECYCLE_FILE_RELOADER_H_
#define QKSERVE_SERVER_LIFECYCLE_FILE_RELOADER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/background_thread.h"
#include "base/log.h"
#include "base/mutex.h"

namespace qkserve {

// Files that are applied together, for example a certificate and its key.
struct WatchedFiles {
  // The flag's name without dashes. It names the files in errors, the log and metrics.
  std::string flag;
  std::vector<std::string> paths;
  // Takes the contents, in the order of `paths`. After an error, the contents that were applied
  // before must stay in use. The error's message need not name the flag. UNAVAILABLE: the same
  // contents may be taken later. Calls never overlap. `apply` must not call the reloader, and what
  // it uses must outlive the reloader.
  std::function<absl::Status(const std::vector<std::string>& contents)> apply;
  // The flag of each path, if `flag` is not the flag of all paths.
  std::vector<std::string> path_flags = {};
};

// Watches files that an operator replaces while the server runs.
//
// Once an interval, the reloader compares each file's device, inode, size, times and mode with the
// values at the last attempt to apply them. The reloader follows symbolic links, because Kubernetes
// changes a secret by exchanging a link in the path. Changed files are read when a second look,
// kSettleTime later, finds no further change, because a file that is still being written must not
// be applied.
//
// If a file cannot be read, or `apply` refuses the contents, a line in the log says why, once for
// each change and reason. The contents applied before stay in use. Each look tries again if a file
// could not be read or the contents may be taken later. Refused contents are tried again when a
// file changes.
//
// Thread-safe, except for the destructor.
class FileReloader {
 public:
  // The most bytes of a file. No bundle of certificates or list of tokens has as many. The limit
  // bounds the cost of reading a wrong file.
  static constexpr size_t kFileBytesMax = 16 << 20;
  // The time between the look that finds a change and the look that reads the files. Programs write
  // such small files in less time, and operators do not notice this delay.
  static constexpr absl::Duration kSettleTime = absl::Milliseconds(100);

  // The outcome of reading the files of one flag.
  struct Outcome {
    std::string flag;
    int64_t applied = 0;  // includes the first time, in Add
    int64_t refused = 0;
    absl::Time last_applied;  // the wall clock's time
  };

  // The first Add starts a thread, which looks at the files every `interval`. If the interval is
  // infinite, no thread starts, and only Look looks at the files. `now` is the wall clock.
  explicit FileReloader(LogSink log, absl::Duration interval = absl::Seconds(1),
                        std::function<absl::Time()> now = absl::Now);
  ~FileReloader();

  FileReloader(const FileReloader&) = delete;
  FileReloader& operator=(const FileReloader&) = delete;

  // Reads and applies the files, then watches them. FAILED_PRECONDITION: a file cannot be read or
  // was refused; the message begins with its flag. The code is not INVALID_ARGUMENT, because the
  // error may go away without a change of flags. After an error the files are not watched.
  absl::Status Add(WatchedFiles files);

  // Looks at all files once. Blocks while files are read and applied. Returns true if it saw a
  // change that the next look may read.
  bool Look();

  // Returns the outcomes in the order of Add. Never waits for a file.
  std::vector<Outcome> outcomes() const;

 private:
  struct Watched;

  absl::Status ReadAndApply(const WatchedFiles& files) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  bool LookAt(Watched& watched, size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);

  // Counts and logs the outcome of an attempt.
  void Tell(const Watched& watched, size_t index);

  const LogSink log_;
  const absl::Duration interval_;
  const std::function<absl::Time()> now_;

  Mutex looking_;  // held while files are read and applied; taken before outcomes_mutex_
  std::vector<std::unique_ptr<Watched>> watched_ ABSL_GUARDED_BY(looking_);

  mutable Mutex outcomes_mutex_;
  std::vector<Outcome> outcomes_ ABSL_GUARDED_BY(outcomes_mutex_);  // one for each of watched_

  // The thread is the last member, because it uses the others.
  std::optional<BackgroundThread> thread_ ABSL_GUARDED_BY(looking_);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_FILE_RELOADER_H_
