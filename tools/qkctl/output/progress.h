#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_PROGRESS_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_PROGRESS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"
#include "tools/load/load_counts.h"
#include "tools/load/run_load.h"

namespace qkserve {

// A line on standard error. On a terminal each text overwrites the last one, and the destructor
// removes the line. Elsewhere each text is a new line.
//
// Thread-compatible.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

 protected:
  bool is_terminal() const { return is_terminal_; }
  void Draw(const std::string& text) const;

 private:
  const bool is_terminal_;
};

// Returns "[#####.....]  50%  1.5 of 3.0 GiB" with the rate and the time that is left. `elapsed` is
// the time since the upload began.
std::string UploadProgressText(int64_t sent_bytes, int64_t total_bytes, absl::Duration elapsed);

// Shows the progress of an upload ten times a second on a terminal, and nothing elsewhere.
class UploadProgressLine : public ProgressLine {
 public:
  explicit UploadProgressLine(const Clock* clock)
      : clock_(clock), begin_(clock->Now()), next_(begin_) {}

  void Show(int64_t sent_bytes, int64_t total_bytes);

 private:
  const Clock* const clock_;
  const absl::Time begin_;
  absl::Time next_;
};

// Returns "512.0 requests/s, p50 1.2 ms, p99 3.4 ms, 0 errors, 7 s left". `earlier` was taken
// `interval` before `counts`. Rate and latencies are of this interval, but all errors are counted.
std::string LoadProgressText(const LoadCounts& counts, const LoadCounts& earlier,
                             absl::Duration interval, absl::Duration remaining);

// Shows the progress of a load once a second.
class LoadProgressLine : public ProgressLine {
 public:
  // `name` stands before the text. It may be empty.
  explicit LoadProgressLine(std::string name) : name_(std::move(name)) {}

  void Show(const LoadProgress& progress);

 private:
  const std::string name_;
  absl::Duration last_;
  LoadCounts earlier_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_PROGRESS_H_
