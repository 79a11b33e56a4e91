#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_PROGRESS_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_PROGRESS_H_

#include <string>

#include "absl/time/time.h"
#include "tools/load/load_counts.h"
#include "tools/load/run_load.h"

namespace qkserve {

// "512.0 requests/s, p50 1.2 ms, p99 3.4 ms, 0 errors, 7 s left": what came since `earlier`, taken
// `interval` before; the errors are all there were.
std::string LoadProgressText(const LoadCounts& counts, const LoadCounts& earlier,
                             absl::Duration interval, absl::Duration remaining);

// Shows once a second on standard error how a load goes: one line that is overwritten on a
// terminal, or one below the other. Gone from the terminal when this is destroyed.
//
// Thread-compatible.
class LoadProgressLine {
 public:
  // `name` stands in front; may be empty.
  explicit LoadProgressLine(std::string name);
  LoadProgressLine(const LoadProgressLine&) = delete;
  LoadProgressLine& operator=(const LoadProgressLine&) = delete;
  ~LoadProgressLine();

  void Show(const LoadProgress& progress);

 private:
  const std::string name_;
  const bool is_terminal_;
  absl::Duration last_;
  LoadCounts earlier_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_LOAD_PROGRESS_H_
