#include "core/key_sets/storage/directory_observer.h"

#include "absl/strings/str_cat.h"

namespace qkserve {

absl::Status DirectoryObserver::CheckNotStopping() const {
  return is_stopping() ? absl::CancelledError("the process is to end") : absl::OkStatus();
}

absl::Status ProgressReport::BeginStep() {
  const absl::Time now = absl::Now();
  if (now - last_report_ >= absl::Seconds(1)) {
    last_report_ = now;
    observer_.log(
        {LogLevel::kInfo, absl::StrCat("key_set_dir: ", work_, ": ", done_, " of ", count_)});
  }
  ++done_;
  return observer_.CheckNotStopping();
}

}  // namespace qkserve
