#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LAST_VERSION_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LAST_VERSION_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "core/key_sets/storage/directory_paths.h"

namespace qkserve {

// The greatest version number that is or ever was in use in a directory. Its file, .last_version,
// keeps the versions of deleted sets from being used again. Thread-safe.
class LastVersion {
 public:
  explicit LastVersion(const DirectoryPaths* paths) : paths_(*paths) {}

  int64_t value() const;
  // Makes the value at least `version`.
  void Raise(int64_t version);

  // The version in the file. NOT_FOUND: there is no file. DATA_LOSS: it holds something else.
  absl::StatusOr<int64_t> Stored() const;
  // Makes the file hold the value, durably.
  absl::Status Store();

 private:
  const DirectoryPaths& paths_;
  mutable Mutex mutex_;
  int64_t value_ ABSL_GUARDED_BY(mutex_) = 0;
  Mutex file_mutex_;  // held while the file is written
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LAST_VERSION_H_
