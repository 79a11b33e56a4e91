#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"

namespace qkserve {

// Callbacks during long reads of a directory: cancellation and progress.
struct DirectoryObserver {
  // Called often, from any thread. true: Open or Load ends with CANCELLED.
  std::function<bool()> is_stopping = [] { return false; };
  // Called about once a second with the progress of Open.
  LogSink log = [](const LogEvent&) {};

  // CANCELLED: is_stopping.
  absl::Status CheckNotStopping() const;
};

// Reports the progress of one loop of Open. Thread-compatible.
class ProgressReport {
 public:
  // `work` must outlive the report.
  ProgressReport(const DirectoryObserver& observer, const char* work, size_t count)
      : observer_(observer), work_(work), count_(count) {}

  // To be called before each step of the loop. CANCELLED: the loop must end.
  absl::Status BeginStep();

 private:
  const DirectoryObserver& observer_;
  const char* const work_;
  const size_t count_;  // of steps
  size_t done_ = 0;
  absl::Time last_report_ = absl::Now();
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_DIRECTORY_OBSERVER_H_
