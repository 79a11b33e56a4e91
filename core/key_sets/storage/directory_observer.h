#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "base/log.h"
#include "core/key_sets/storage/file_system.h"

namespace qkserve {

// Callbacks during long reads of a directory, for cancellation and progress.
struct DirectoryObserver {
  // Called often, from any thread. If it returns true, Open or Load returns CANCELLED.
  std::function<bool()> is_stopping = [] { return false; };
  // Called about once a second with the progress of Open.
  LogSink log = [](const LogEvent&) {};

  // Returns CANCELLED if is_stopping returns true.
  absl::Status CheckNotStopping() const;

  // Calls fn for each entry, and logs the progress of `work`. CANCELLED: is_stopping returned true.
  absl::Status ForEach(const char* work, const std::vector<FileSystem::Entry>& entries,
                       const std::function<void(const FileSystem::Entry&)>& fn) const;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_
