#include "core/key_sets/storage/directory_observer.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace qkserve {

absl::Status DirectoryObserver::CheckNotStopping() const {
  return is_stopping() ? absl::CancelledError("the process is to end") : absl::OkStatus();
}

absl::Status DirectoryObserver::ForEach(
    const char* work, const std::vector<FileSystem::Entry>& entries,
    const std::function<void(const FileSystem::Entry&)>& fn) const {
  absl::Time last_report = Clock::Monotonic()->Now();
  for (size_t done = 0; done < entries.size(); ++done) {
    const absl::Time now = Clock::Monotonic()->Now();
    if (now - last_report >= absl::Seconds(1)) {
      last_report = now;
      log({LogLevel::kInfo,
           absl::StrCat("key_set_dir: ", work, ": ", done, " of ", entries.size())});
    }
    RETURN_IF_ERROR(CheckNotStopping());
    fn(entries[done]);
  }
  return CheckNotStopping();
}

}  // namespace qkserve
